"Los latentes del VAE: su divergencia, contra la de torch, y su desviación, antes y después de tipificarlos."

import pytest
import torch
from diffusers import AutoencoderKL
from torch.distributions import Normal, kl_divergence

from img2audio.taller.audioldm import normalizar_latentes, perdida_vae


@pytest.fixture
def vae() -> AutoencoderKL:
    "Uno diminuto, de pesos al azar."
    torch.manual_seed(0)
    return AutoencoderKL(
        in_channels=1,
        out_channels=1,
        latent_channels=2,
        block_out_channels=(8,),
        norm_num_groups=4,
        down_block_types=['DownEncoderBlock2D'],
        up_block_types=['UpDecoderBlock2D'],
    ).eval()


def test_la_divergencia_del_vae_es_la_de_torch(vae):
    "Con la desviación que da diffusers, sea el latente estrecho o ancho."
    mel = torch.randn(2, 1, 16, 64)
    for sesgo in (-3.0, 0.0, 2.0):
        with torch.no_grad():
            vae.quant_conv.bias[2:] = sesgo  # la mitad que dice el logaritmo de la varianza
        p = perdida_vae(vae, lambda paso: mel, peso_kl=0.5)(0)
        with torch.no_grad():
            q = vae.encode(mel).latent_dist
        debe = kl_divergence(Normal(q.mean, q.std), Normal(0.0, 1.0)).mean()
        assert abs(p['kl'] - debe) < 1e-3 * (1 + debe)
        assert abs(p['total'] - p['l1'] - 0.5 * p['kl']) < 1e-4


@torch.no_grad()
def test_al_tipificar_los_latentes_su_desviacion_va_con_ellos(vae):
    "La media sale tipificada; la desviación, dividida por lo mismo; y la reconstrucción no cambia."
    vae.quant_conv.weight[:2] *= torch.tensor([0.2, 5.0])[:, None, None, None]
    mel = torch.randn(4, 1, 16, 64)
    antes = vae.encode(mel).latent_dist
    desv, debe = antes.mode().std((0, 2, 3)), vae.decode(antes.mode()).sample
    despues = normalizar_latentes(vae, mel).encode(mel).latent_dist
    assert despues.mode().mean((0, 2, 3)).abs().max() < 1e-3
    assert (despues.mode().std((0, 2, 3)) - 1).abs().max() < 1e-3
    assert torch.allclose(despues.std, antes.std / desv[None, :, None, None], rtol=1e-3)
    assert torch.allclose(vae.decode(despues.mode()).sample, debe, atol=1e-3)

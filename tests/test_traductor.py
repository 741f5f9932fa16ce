"El Traductor por dentro: de dónde sale su centro, qué números acepta y qué es un acierto."
import pytest
import torch
import torch.nn.functional as F

from img2audio.taller.comparacion import Prueba
from img2audio.traductor import entrenar_traductor

AZAR = torch.Generator().manual_seed(0)
X, Y = torch.randn(40, 16, generator=AZAR) + 3, F.normalize(torch.randn(40, 16, generator=AZAR), dim=1)
POCO = dict(oculta=8, epocas=1, batch_size=10, progreso=False)


def test_el_centro_es_la_media_de_lo_que_entra():
    "De las entradas de entrenar, ya normalizadas; y es lo que la red resta."
    red, _ = entrenar_traductor(X, Y, validacion=(X[:5], Y[:5]), **POCO)
    debe = F.normalize(X, dim=1).mean(0)
    assert torch.allclose(red.centro, debe, atol=1e-6) and debe.norm() > .5
    antes = red(X)
    red.centro.zero_()
    assert not torch.allclose(red(X), antes, atol=1e-3)


def test_tablas_de_otros_tipos():
    "float64, float16 y numpy: lo mismo que en float32."
    debe = entrenar_traductor(X, Y, **POCO)[1][0]
    for otra in (torch.Tensor.double, torch.Tensor.numpy):
        assert entrenar_traductor(otra(X), otra(Y), **POCO)[1][0] == pytest.approx(debe)
    assert entrenar_traductor(X.half(), Y.half(), validacion=(X.double(), Y.double()), **POCO)[1]


@pytest.mark.parametrize('que', ['epocas', 'batch_size', 'oculta'])
def test_ni_una_epoca(que):
    for valor in (0, -1):
        with pytest.raises(ValueError, match=f'{que} debe ser al menos 1, y es {valor}'):
            entrenar_traductor(X, Y, **POCO | {que: valor})


def test_un_empate_no_es_un_acierto():
    "Con candidatas todas iguales no se acierta nada; con las de siempre, lo de siempre."
    iguales = torch.ones(20, 16)
    m = Prueba(X[:20], iguales, torch.eye(20, dtype=bool)).medir(lambda x: x)
    assert (m['R@1'], m['R@5'], m['R@10']) == (0, 0, 0)
    assert Prueba(X[:20], X[:20], torch.eye(20, dtype=bool)).medir(lambda x: x)['R@1'] == 1
    buenas = torch.zeros(20, 20, dtype=bool)
    buenas[:, :2] = True  # con varias buenas vale la mejor colocada
    s = F.normalize(X[:20], dim=1) @ F.normalize(Y[:20], dim=1).T
    for k in (1, 5, 10):
        debe = s.topk(k, dim=1).indices.lt(2).any(1).float().mean().item()
        assert Prueba(X[:20], Y[:20], buenas).medir(lambda x: x)[f'R@{k}'] == pytest.approx(debe)

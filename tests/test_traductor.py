"El Traductor por dentro: de dónde sale su centro, qué números acepta y qué es un acierto."

import pytest
import torch
import torch.nn.functional as F

from img2audio import traductor
from img2audio.comun.perfiles import MINI
from img2audio.taller.comparacion import Prueba
from img2audio.traductor import PERDIDAS, Traductor, con_memoria, ensuciar, entrenar_traductor, perdida_contrastiva

AZAR = torch.Generator().manual_seed(0)
X, Y = torch.randn(40, 16, generator=AZAR) + 3, F.normalize(torch.randn(40, 16, generator=AZAR), dim=1)
POCO = dict(oculta=8, epocas=1, batch_size=10, progreso=False)


def test_el_centro_es_la_media_de_lo_que_entra():
    "De las entradas de entrenar, ya normalizadas; y es lo que la red resta."
    red, _ = entrenar_traductor(X, Y, validacion=(X[:5], Y[:5]), **POCO)
    debe = F.normalize(X, dim=1).mean(0)
    assert torch.allclose(red.centro, debe, atol=1e-6) and debe.norm() > 0.5
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


# Ocho racimos de textos, uno en cada eje
EJES = torch.eye(8).repeat_interleave(20, 0) + 0.05 * torch.randn(160, 8, generator=torch.Generator().manual_seed(0))
DUDOSA = torch.tensor([[0.8, 0.6, 0, 0, 0, 0, 0, 0]])


@pytest.fixture(scope='module')
def giro():
    "Embeddings en cuatro direcciones, y los mismos, girados."
    azar = torch.Generator().manual_seed(1)
    x = torch.randn(2000, 4, generator=azar) @ torch.randn(4, 512, generator=azar)
    return x, F.normalize(x, dim=1) @ torch.linalg.qr(torch.randn(512, 512, generator=azar))[0]


@pytest.mark.parametrize('ema', [0.0, 0.9])
def test_un_giro_se_aprende(giro, ema):
    assert entrenar_traductor(*giro, epocas=15, ema=ema, progreso=False)[1][-1][2] > 0.9


def test_devuelve_la_mejor_epoca(giro):
    x, y = giro
    red, historia = entrenar_traductor(x, y, epocas=3, validacion=(x[:50], y[:50]), progreso=False)
    coseno = F.cosine_similarity(red(x[:50]), y[:50]).mean().item()
    assert coseno == pytest.approx(max(c for *_, c in historia), abs=1e-5)


def test_la_paciencia_corta_donde_no_hay_nada_que_aprender():
    azar = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 400, 512, generator=azar)
    assert len(entrenar_traductor(x, y, epocas=60, paciencia=3, progreso=False)[1]) < 60


@pytest.mark.parametrize(
    'mal, dice', [(dict(perdida='otra'), 'otra'), (dict(ema=1.0), '1.0'), (dict(clap=Y[:12]), '40 y 12')]
)
def test_lo_que_no_se_entrena(mal, dice):
    with pytest.raises(ValueError, match=dice):
        entrenar_traductor(**dict(clip=X, clap=Y) | POCO | mal)


def test_se_guarda_y_se_carga(tmp_path):
    red = Traductor(oculta=256).eval()
    red.save_pretrained(tmp_path)
    otra = Traductor.from_pretrained(tmp_path, low_cpu_mem_usage=False)
    x = torch.randn(3, 512, generator=torch.Generator().manual_seed(0))
    assert sorted(f.name for f in tmp_path.iterdir()) == ['config.json', 'diffusion_pytorch_model.safetensors']
    assert torch.equal(otra(x), red(x)) and otra.config.oculta == 256 and callable(Traductor.push_to_hub)


def test_el_que_viaja_con_mini():
    red = Traductor.from_pretrained(MINI / 'traductor', low_cpu_mem_usage=False)
    capas = {f'{c}.{p}' for c in ('entra', 'media', 'sale') for p in ('weight', 'bias')}
    assert set(red.state_dict()) == capas | {'centro', 'recuerdos'}


def test_recordar():
    x = torch.randn(3, 512, generator=torch.Generator().manual_seed(0))
    assert Traductor(8).eval().recordar(x) is x  # de fábrica, sin memoria
    red = con_memoria(Traductor(8, 8), EJES, k=8)
    assert torch.allclose(red.recuerdos.sum(0), torch.ones(8), atol=0.1)
    # se decide por el más cercano
    assert torch.allclose(red.recordar(DUDOSA)[0, :2], torch.tensor([1.0, 0.0]), atol=0.05)
    red.register_to_config(temperatura=1.0)
    assert red.recordar(DUDOSA)[0, 0] < 0.3  # con τ grande, un poco de todos
    with pytest.raises(ValueError, match='8 racimos con 5 textos'):
        con_memoria(Traductor(8, 8), EJES[:5], k=8)


# Las pérdidas y el ruido
@pytest.mark.parametrize('f', PERDIDAS.values(), ids=PERDIDAS)
def test_las_perdidas_solo_miran_las_formas(f):
    "Lo que no casa se dice; unos pesos que se desbordan dan NaN, y eso lo dice quien entrena."
    with pytest.raises(ValueError, match='3 y 2'):
        f(Y[:3], Y[:2])
    assert f(Y[:3] * torch.nan, Y[:3]).isnan() and f(0 * Y[:3], Y[:3]).isfinite()
    assert f(Y[:3], Y[:3]) < f(Y[:3], Y[3:6])


@pytest.mark.parametrize('τ', [0.07, 0.5])
def test_la_contrastiva_de_tres_ejes(τ):
    "De tres ejes, cada uno con su pareja: log(1 + 2e^(−1/τ)). La longitud no cuenta, y vale de ida y de vuelta."
    eje = torch.eye(3)
    debe = torch.tensor(1 + 2 * torch.e ** (-1 / τ)).log()
    assert torch.allclose(perdida_contrastiva(2 * eje, 5 * eje, τ), debe, atol=1e-6)
    a, b = Y[:6], Y[6:12]
    assert torch.allclose(perdida_contrastiva(a, b, τ), perdida_contrastiva(b, a, τ), atol=1e-5)


def test_el_ruido_llega_hasta_su_norma():
    azar, x = torch.Generator().manual_seed(0), X.repeat(100, 1)
    normas = (ensuciar(x, 0.3, azar) - x).norm(dim=1)
    assert normas.max() < 0.301 and normas.min() < 0.01
    assert normas.mean() == pytest.approx(0.15, abs=0.01)  # uniforme, de 0 a .3
    assert ensuciar(x, 0, azar) is x


@pytest.mark.parametrize('normalizar, escala', [(True, 1.0), (False, X.norm(dim=1).mean().item())])
def test_el_ruido_es_relativo_a_la_norma_de_lo_que_entra(monkeypatch, normalizar, escala):
    normas = []
    monkeypatch.setattr(traductor, 'ensuciar', lambda x, norma, _: normas.append(float(norma)) or x)
    entrenar_traductor(X, Y, validacion=(X[:5], Y[:5]), ruido=0.2, normalizar=normalizar, **POCO)
    assert escala == 1 or escala > 10
    assert normas == pytest.approx([0.2 * escala] * 4)


# Las cuentas del bucle
def test_con_que_se_entrena_y_con_que_se_valida():
    "La décima parte, aparte; y al menos una pareja. Con diez parejas basta."
    vistos = []

    def perdida(y, objetivo):
        vistos.append(len(y))
        return PERDIDAS['coseno'](y, objetivo)

    entrenar_traductor(X, Y, perdida, **POCO)
    assert vistos == [10, 10, 10, 6]
    vistos.clear()
    entrenar_traductor(X[:10], Y[:10], perdida, fraccion=0.01, **POCO)
    assert vistos == [9]
    with pytest.raises(ValueError, match='10'):
        entrenar_traductor(X[:9], Y[:9], **POCO)


def test_la_paciencia_se_cuenta_en_epocas():
    "Sin tasa de aprendizaje, la mejor es la primera: se para a las `paciencia` siguientes."
    for paciencia in (1, 3):
        historia = entrenar_traductor(X, Y, **POCO | dict(epocas=9), lr=0.0, paciencia=paciencia)[1]
        assert [e for e, *_ in historia] == list(range(paciencia + 1))


def test_la_inercia_de_la_media_movil():
    assert entrenar_traductor(X, Y, ema=0.999, **POCO)[1]
    for ema in (-0.01, 1.0):
        pytest.raises(ValueError, entrenar_traductor, X, Y, ema=ema, **POCO).match('inercia')

"La media de las clases, con su intervalo; y las medidas de una carpeta: un sonido propio se cuenta una vez, uno solo también vale."
import numpy as np
import pytest
import soundfile
from PIL import Image

from img2audio.base_de_datos import CLASES
from img2audio.comun.sonidos import FRECUENCIA
from img2audio.integracion import cargar_tuberia
from img2audio.taller import evaluacion
from img2audio.taller.evaluacion import cargar_referencia, evaluar
from img2audio.taller.medidas import acuerdo, intervalo_de_medias, r_en_k
from img2audio.taller.oido import hay_oido

CORTO = dict(pasos=1, segundos=1.28, progreso=False)


def test_la_media_esta_en_su_intervalo(apuntar):
    "También si las clases no tienen los mismos sonidos."
    azar = np.random.default_rng(0)
    for _ in range(50):
        pedidas = np.repeat(CLASES, azar.integers(1, 20, len(CLASES)))
        oidas = np.where(azar.random(len(pedidas)) < azar.random(), pedidas, 'otra')
        t = acuerdo(pedidas, oidas)
        assert (t.bajo <= t.acuerdo + 1e-9).all() and (t.acuerdo <= t.alto + 1e-9).all()
        apuntar()
    t = acuerdo(['rain']*99 + ['rooster'], ['rain']*100)
    assert t.acuerdo['media'] == .5 and t.bajo['media'] < .5 < t.alto['media']


@pytest.mark.parametrize('n', [[9]*10, [5, 12]*5, [15]*10])
@pytest.mark.parametrize('p', [[.5]*10, [.95]*10, [.3, .9]*5])
def test_el_intervalo_de_la_media_la_contiene_lo_que_dice(n, p):
    "De mil repeticiones, unas 950."
    azar = np.random.default_rng(1)
    dentro = [bajo <= np.mean(p) <= alto for bajo, alto in (intervalo_de_medias(azar.binomial(n, p), n) for _ in range(1000))]
    assert .93 <= np.mean(dentro) <= .995  # si las clases no se parecen, de más


def test_cada_uno_con_su_pareja():
    "Dos sonidos de la misma condición la encuentran los dos."
    import torch
    a, b = torch.eye(3)[[0, 1, 2, 0, 1, 2]], torch.eye(3)
    assert r_en_k(a, b, (1,), [0, 1, 2]*2)[1].all() and not r_en_k(a, b, (1,), [1, 2, 0]*2)[1].any()


@pytest.fixture
def carpeta(tmp_path):
    "Tres imágenes de tres conceptos, con un sonido al lado."
    azar = np.random.default_rng(0)
    for c in ('rain', 'rooster', 'dog_bark'):
        (tmp_path/c).mkdir()
        Image.new('RGB', (8, 8), 'red').save(tmp_path/c/'a.png')
        soundfile.write(tmp_path/c/'a.wav', azar.normal(0, .1, FRECUENCIA).astype(np.float32), FRECUENCIA)
    return tmp_path


def cuantos(t) -> set[str]:
    "Los sonidos que dice contar una tabla."
    return {x.rpartition('n=')[2] for x in t['± de'] if 'n=' in x}


@pytest.mark.filterwarnings('ignore')
def test_lo_propio_se_cuenta_una_vez(carpeta):
    "Haya las semillas que haya; lo que se genera, una por semilla."
    assert cuantos(evaluar(carpeta, semillas=(0, 1, 2, 3), **CORTO)) == {'3'}
    (carpeta/'rain'/'a.wav').unlink()
    t = evaluar(carpeta, semillas=(0, 1), **CORTO)
    assert cuantos(t) == {'4'} and any('R@1, de sonido a condición entre 3' in q for q in t['qué'])


def test_una_sola_imagen(carpeta):
    "Lo que se puede medir de un sonido, y un aviso de lo que no."
    for c in ('rooster', 'dog_bark'): [f.unlink() for f in (carpeta/c).iterdir()]
    with pytest.warns(UserWarning, match='Con un solo sonido no hay'): t = evaluar(carpeta, **CORTO)
    que = ' '.join(t['qué'])
    assert 'parecido' in que and 'Fréchet' not in que and 'FAD' not in que
    assert (t['±'][t['qué'].str.startswith('parecido')] == '').all()
    assert ('acuerdo de YAMNet' in que) == hay_oido()


@pytest.mark.filterwarnings('ignore')
def test_donde_se_diga(carpeta, monkeypatch):
    "Como `sonorizar`: si no se dice, la GPU si la hay."
    pedidos = []
    def apuntar(perfil, dispositivo='cpu'):
        pedidos.append(dispositivo)
        return cargar_tuberia(perfil)
    monkeypatch.setattr(evaluacion, 'cargar_tuberia', apuntar)
    for k in ({}, dict(dispositivo='cuda')): evaluar(carpeta, referencia=cargar_referencia(), **CORTO | k)
    assert pedidos == [None, 'cuda']

"""La media de las clases, con su intervalo; y las medidas de una carpeta:
un sonido propio se cuenta una vez, uno solo también vale."""

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from PIL import Image
from scipy.stats import binomtest

from img2audio.base_de_datos import CLASES
from img2audio.comun.sonidos import FRECUENCIA
from img2audio.integracion import cargar_tuberia
from img2audio.taller import evaluacion
from img2audio.taller.evaluacion import cargar_referencia, evaluar
from img2audio.taller.medidas import (
    Espacio,
    acuerdo,
    copias,
    diferencia_niveles,
    distancias_reales,
    diversidad,
    frechet,
    frechet_gaussianas,
    frechet_infinito,
    intervalo,
    intervalo_de_medias,
    intervalo_wilson,
    mayor_eco,
    r_en_k,
    razon_frechet,
    submuestra,
    tasa,
)
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
    t = acuerdo(['rain'] * 99 + ['rooster'], ['rain'] * 100)
    assert t.acuerdo['media'] == 0.5 and t.bajo['media'] < 0.5 < t.alto['media']


@pytest.mark.parametrize('n', [[9] * 10, [5, 12] * 5, [15] * 10])
@pytest.mark.parametrize('p', [[0.5] * 10, [0.95] * 10, [0.3, 0.9] * 5])
def test_el_intervalo_de_la_media_la_contiene_lo_que_dice(n, p):
    "De mil repeticiones, unas 950."
    azar = np.random.default_rng(1)
    dentro = [
        bajo <= np.mean(p) <= alto for bajo, alto in (intervalo_de_medias(azar.binomial(n, p), n) for _ in range(1000))
    ]
    assert 0.93 <= np.mean(dentro) <= 0.995  # si las clases no se parecen, de más


def test_cada_uno_con_su_pareja():
    "Dos sonidos de la misma condición la encuentran los dos."
    a, b = torch.eye(3)[[0, 1, 2, 0, 1, 2]], torch.eye(3)
    assert r_en_k(a, b, (1,), [0, 1, 2] * 2)[1].all() and not r_en_k(a, b, (1,), [1, 2, 0] * 2)[1].any()


# Las medidas, contra valores conocidos
@pytest.mark.parametrize('confianza', [0.5, 0.9, 0.99])
def test_wilson_es_el_de_scipy(confianza):
    for bien, n in ((0, 1), (1, 1), (3, 8), (8, 8)):
        debe = binomtest(bien, n).proportion_ci(confianza, 'wilson')
        assert intervalo_wilson(bien, n, confianza) == pytest.approx(tuple(debe), abs=1e-9)
        debe = intervalo_wilson(2 * bien, 2 * n, confianza)
        assert intervalo_de_medias([bien] * 2, [n] * 2, confianza) == pytest.approx(debe)
    for bien, n in ((-1, 3), (4, 3), (0, 0)):
        with pytest.raises(ValueError, match='No puede haber'):
            intervalo_wilson(bien, n)
    for bien, n in (([], []), ([1], [2, 3])):
        pytest.raises(ValueError, intervalo_de_medias, bien, n).match('grupos')


def test_el_bootstrap_de_una_media():
    "Con muchos ejemplos, la media ± 1,96 errores típicos; la misma semilla, el mismo intervalo."
    x = np.random.default_rng(0).normal(5, 2, 1000)
    radio = 1.96 * x.std() / 1000**0.5
    assert intervalo(x) == pytest.approx((x.mean() - radio, x.mean() + radio), abs=0.02)
    assert intervalo(x, semilla=3) == intervalo(x, semilla=3) != intervalo(x, semilla=4)
    assert intervalo(x, np.median)[0] < np.median(x) < intervalo(x, np.median)[1]
    assert intervalo([0.0, 0.0]) == (0, 0)
    with pytest.raises(ValueError, match='al menos 2'):
        intervalo([1.0])


def test_la_tasa_de_otra_columna():
    t = pd.DataFrame(dict(clase=['a', 'a', 'b'], oye=['a', 'b', 'b'], abierto=['', '', 'b']))
    assert (tasa(t), tasa(t, 'abierto')) == (0.75, 0.5)
    assert acuerdo(t.clase.replace('a', 'rain'), t.oye.replace('a', 'rain')).n.to_dict() == dict(lluvia=2, media=3)


def test_frechet_de_dos_gaussianas_en_una_recta():
    "(μ₁ − μ₂)² + (σ₁ − σ₂)², también si una varianza es cero."
    for m1, s1, m2, s2 in ((0, 1, 3, 2), (1, 0, 1, 5), (-2, 3, 2, 3)):
        debe = (m1 - m2) ** 2 + (s1 - s2) ** 2
        gaussianas = (np.array([m1, 0.0]), np.diag([s1**2, 1.0]), np.array([m2, 0.0]), np.diag([s2**2, 1.0]))
        assert frechet_gaussianas(*gaussianas) == pytest.approx(debe, abs=1e-9)
    cero, uno = np.zeros(2), np.eye(2)
    with pytest.raises(ValueError, match='cuadradas'):
        frechet_gaussianas(cero, uno[:1], cero, uno)
    a = np.random.default_rng(0).normal(size=(50, 3))
    assert frechet(a, a * [3, 1, 1]) == pytest.approx((2 * a.mean(0)[0]) ** 2 + 4 * a[:, 0].var(ddof=1), rel=0.02)


def test_espacio_y_submuestra():
    azar, a = np.random.default_rng(0), ['a'] * 40
    rasgos = azar.normal(size=(40, 6)) * [9, 3, 1, 1, 1, 1]
    z = Espacio.ajustar(rasgos, 2)(rasgos)
    assert np.allclose(z.mean(0), 0) and z.var(0)[0] > 5 * z.var(0)[1] > 5
    assert Espacio.ajustar(rasgos[:4], 4)(rasgos).shape == (40, 4)
    clases = np.array(list('abbabbb'))
    i = submuestra(clases, 2, azar)
    assert len(set(i)) == 4 and sorted(clases[i]) == list('aabb')
    assert set(submuestra(clases, 2, azar)[:2]) == {0, 3}
    lejos = z + [2, 0], a, z + [1, 0], a, z  # al doble de distancia, cuatro veces más
    assert razon_frechet(*lejos) == pytest.approx(4) == razon_frechet(*lejos, k=40)
    assert (
        razon_frechet(*lejos, k=20) == razon_frechet(*lejos, k=20, semilla=0) != razon_frechet(*lejos, k=20, semilla=1)
    )


def test_frechet_extrapolado():
    "Con gaussianas que son las reales, cerca de cero; con veinte ya se puede, y con diecinueve, no."
    z = np.random.default_rng(0).normal(size=(4000, 2))
    en_el_infinito, error = frechet_infinito(z + [2, 0], np.zeros(2), np.eye(2))
    assert en_el_infinito == pytest.approx(4, abs=0.2) and 0 < error < 0.1
    assert np.isfinite(frechet_infinito(z[:20], np.zeros(2), np.eye(2))).all()
    with pytest.raises(ValueError, match='19 sonidos'):
        frechet_infinito(z[:19], np.zeros(2), np.eye(2))


def test_variedad_y_copias():
    "De cada clase, con los suyos; una copia está más cerca que el percentil de las distancias de verdad."
    z, clases = np.array([[0.0], [2.0], [10.0], [16.0], [50.0]]), list('aabbc')
    reales = distancias_reales(z, clases, list('12345'))
    assert {c: d.tolist() for c, d in reales.items()} == dict(a=[2], b=[6], c=[])
    reales = dict(a=np.array([4.0]), b=np.array([3.0]), c=np.array([1.0]))
    assert diversidad(z, clases, reales).to_dict() == dict(a=0.5, b=2)
    cien = dict(a=np.arange(101.0), b=np.arange(101.0))
    de_verdad = np.array([[0.0], [100.0]])
    for percentil, hasta in ((1.0, 1.0), (30.0, 30.0)):
        candidatas = np.array([[hasta - 0.1], [hasta + 0.1], [hasta - 0.1]])
        sale = copias(candidatas, list('aab'), de_verdad, list('ab'), cien, percentil)
        assert sale.tolist() == [True, False, False]  # la última se parece a una de otra clase
    assert copias(np.array([[0.9], [1.1]]), list('aa'), de_verdad, list('ab'), cien).tolist() == [True, False]


def test_el_puesto_de_la_pareja():
    "Está entre las k si la superan menos de k; la longitud no cuenta, y un empate no es un acierto."
    angulos = torch.tensor([0.0, 0.1, 0.2, 0.3, 0.4])
    b = torch.stack([angulos.cos(), angulos.sin()], 1) * torch.tensor([9.0, 1, 1, 1, 1])[:, None]
    for puesto in range(5):
        salen = r_en_k(torch.tensor([[2.0, 0.0]]), b, (1, 2, 3, 4, 5), [puesto])
        assert [bool(v[0]) for v in salen.values()] == [puesto < k for k in (1, 2, 3, 4, 5)]
    casi = torch.tensor([[1.0, 0.0], [1.0, 1e-5]])  # sus cosenos se llevan 5e-11
    assert not r_en_k(casi[:1], casi, (1,), [0])[1][0] and r_en_k(casi[:1], casi, (2,), [0])[2][0]


def test_eco_y_niveles():
    "El mayor eco, sin signo y solo de lo que es ruido; entre los niveles, lo que va de mediana a mediana."
    clases = ['rain', 'rain', 'sea_waves', 'rooster']
    t = pd.DataFrame(dict(clase=clases, eco=[-0.9, -0.1, 0.3, 1.0], nivel=[-30.0, -20.0, -40.0, -22.0]))
    assert (mayor_eco(t), diferencia_niveles(t)) == (0.5, 18)


@pytest.fixture
def carpeta(tmp_path):
    "Tres imágenes de tres conceptos, con un sonido al lado."
    azar = np.random.default_rng(0)
    for c in ('rain', 'rooster', 'dog_bark'):
        (tmp_path / c).mkdir()
        Image.new('RGB', (8, 8), 'red').save(tmp_path / c / 'a.png')
        soundfile.write(tmp_path / c / 'a.wav', azar.normal(0, 0.1, FRECUENCIA).astype(np.float32), FRECUENCIA)
    return tmp_path


def cuantos(t) -> set[str]:
    "Los sonidos que dice contar una tabla."
    return {x.rpartition('n=')[2] for x in t['± de'] if 'n=' in x}


@pytest.mark.filterwarnings('ignore')
def test_lo_propio_se_cuenta_una_vez(carpeta):
    "Haya las semillas que haya; lo que se genera, una por semilla."
    assert cuantos(evaluar(carpeta, semillas=(0, 1, 2, 3), **CORTO)) == {'3'}
    (carpeta / 'rain' / 'a.wav').unlink()
    t = evaluar(carpeta, semillas=(0, 1), **CORTO)
    assert cuantos(t) == {'4'} and any('R@1, de sonido a condición entre 3' in q for q in t['qué'])


def test_una_sola_imagen(carpeta):
    "Lo que se puede medir de un sonido, y un aviso de lo que no."
    for c in ('rooster', 'dog_bark'):
        [f.unlink() for f in (carpeta / c).iterdir()]
    with pytest.warns(UserWarning, match='Con un solo sonido no hay'):
        t = evaluar(carpeta, **CORTO)
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
    for k in ({}, dict(dispositivo='cuda')):
        evaluar(carpeta, referencia=cargar_referencia(), **CORTO | k)
    assert pedidos == [None, 'cuda']

"El oído ajeno: lo que falta se dice, y lo que hay oye lo que tiene que oír."

import sys

import numpy as np
import pytest

from img2audio.comun.sonidos import FRECUENCIA
from img2audio.taller import oido


@pytest.fixture(autouse=True)
def sin_cargar():
    "Cada prueba carga lo suyo."
    oido.cargar_oido.cache_clear()
    yield
    oido.cargar_oido.cache_clear()


def datos_con(carpeta, monkeypatch, pesos: bytes):
    "Una carpeta de datos con unos pesos al lado."
    for sitio in ('datos', 'oido'):
        (carpeta / sitio).mkdir()
    (carpeta / 'oido' / 'yamnet.tflite').write_bytes(pesos)
    (carpeta / 'oido' / 'yamnet_class_map.csv').write_text('index,mid,display_name\n0,/m/09x0r,Speech\n')
    monkeypatch.setenv('IMG2AUDIO_DATOS', str(carpeta / 'datos'))


def test_sin_el_paquete(monkeypatch):
    monkeypatch.setitem(sys.modules, 'ai_edge_litert.interpreter', None)
    with pytest.raises(ImportError, match=r"pip install 'img2audio\[oido\]'"):
        oido.cargar_oido()


def test_unos_pesos_cualesquiera(tmp_path, monkeypatch):
    pytest.importorskip('ai_edge_litert')
    datos_con(tmp_path, monkeypatch, b'TFL3')
    with pytest.raises(ValueError, match='ninguna de las dos'):
        oido.puntuar([np.zeros(FRECUENCIA, np.float32)])


def test_sin_pesos_ni_red(tmp_path, monkeypatch):
    pytest.importorskip('ai_edge_litert')
    monkeypatch.delenv('IMG2AUDIO_DATOS', raising=False)
    monkeypatch.setattr('pooch.os_cache', lambda nombre: tmp_path)
    monkeypatch.setattr(oido, 'YAMNET', 'http://127.0.0.1:9/yamnet.tflite')  # nadie escucha ahí
    assert not oido.hay_oido()
    with pytest.raises(ConnectionError, match='No se pudo descargar'):
        oido.cargar_oido()


@pytest.mark.skipif(not oido.hay_oido(), reason="Falta YAMNet: pip install 'img2audio[oido]', y los pesos")
def test_oye_la_onda_y_no_el_log_mel():
    ruido = (0.1 * np.random.default_rng(0).normal(size=2 * FRECUENCIA)).astype(np.float32)
    tono = np.sin(2 * np.pi * 100 * np.arange(2 * FRECUENCIA) / FRECUENCIA).astype(np.float32)
    puntos, rasgos = oido.escuchar([ruido, tono, ruido[:4000]])
    assert puntos.shape == (3, 521) and rasgos.shape == (3, 1024) and puntos.min() >= 0 and puntos.max() <= 1
    oidas = oido.etiquetas_oidas(puntos, 4)
    assert {'Static', 'White noise'} & set(oidas.loc[0]) and not {'Static', 'White noise'} & set(oidas.loc[1])
    np.testing.assert_allclose(oido.puntuar([tono])[0], puntos[1])  # lo que se oye en uno no depende de los demás

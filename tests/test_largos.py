"Lo largo: un sonido de un minuto y una tabla de muchas filas caben en la memoria de uno corto y de una pequeña."

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from img2audio import integracion
from img2audio.comun.difusion import SOLAPE, TROZO, generadores
from img2audio.comun.sonidos import FRECUENCIA, Sonido, log_mel
from img2audio.integracion import cargar_tuberia
from img2audio.puertas import atender, orden

SEGUNDOS = 12.8  # dos trozos


@pytest.fixture(scope='module')
def latente():
    "El de un tono que sube entre ráfagas de ruido."
    t = np.arange(round(SEGUNDOS * FRECUENCIA)) / FRECUENCIA
    ruido = np.random.default_rng(0).normal(size=t.shape) * (np.sin(np.pi * t) > 0)
    onda = 0.2 * np.sin(2 * np.pi * (200 * t + 40 * t**2)) + 0.05 * ruido
    return cargar_tuberia().a_latente(Sonido(onda.astype(np.float32)))


def rms(x: np.ndarray) -> np.ndarray:
    return np.sqrt(np.square(x, dtype=np.float64).mean(-1))


def test_a_trozos_suena_como_entero(latente, monkeypatch):
    "Ni en la costura: el volumen se mueve menos de 3 dB, y el log-mel, menos de medio. La fase de los tonos no se oye."
    tuberia = cargar_tuberia()

    def decodificar(trozo: float) -> np.ndarray:
        monkeypatch.setattr(integracion, 'TROZO', trozo)
        return tuberia.decodificar(latente, SEGUNDOS, generadores(5, 1))[0].muestras

    entero, a_trozos = decodificar(60), decodificar(TROZO)
    volumenes = [20 * np.log10(rms(x.reshape(-1, FRECUENCIA // 20))) for x in (entero, a_trozos)]
    sube = np.abs(volumenes[1] - volumenes[0])  # dB, en cada vigésima de segundo
    costura = slice(round(20 * (TROZO - SOLAPE)), round(20 * TROZO))
    print(f'el volumen, {sube.max():.1f} dB; en la costura, {sube[costura].max():.1f}')
    assert sube.max() < 3
    mel = [log_mel(torch.from_numpy(x)) for x in (entero, a_trozos)]
    cambia = (mel[0] - mel[1]).abs() * 20 / np.log(10)  # dB
    print(f'log-mel: {cambia.mean():.2f} dB de media')
    assert cambia.mean() < 0.5


@pytest.mark.parametrize('segundos, cuantos', [(1, 1), (10.24, 1), (10.28, 2), (60, 8)])
def test_nunca_hay_mas_de_un_trozo(segundos, cuantos, monkeypatch):
    tuberia, hechos = cargar_tuberia(), []

    def ondas(self, mel, ruido, lineas):
        hechos.append(mel.shape[1] // 4)
        assert ruido.shape[1] == mel.shape[1]
        return torch.full((len(mel), mel.shape[1] * 160), 0.1)

    monkeypatch.setattr(type(tuberia.vocoder), 'forward', ondas)
    (s,) = tuberia.decodificar(torch.zeros(tuberia.forma_latente(1, segundos)), segundos)
    assert len(s.muestras) == round(segundos * FRECUENCIA) and np.allclose(s.muestras, 0.1)
    assert len(hechos) == cuantos and max(hechos) <= tuberia.forma_latente(1, TROZO)[2]


def test_la_ventana_llega_desde_la_orden(tmp_path, monkeypatch):
    pedidos = []

    def sonorizar(imagen, **pedido):
        pedidos.append(pedido['ventana'])
        return Sonido(np.zeros(1600, np.float32))

    monkeypatch.setattr(atender, 'sonorizar', sonorizar)
    for mas in ({}, dict(ventana=5.12)):
        orden.principal(['🐓'], o=str(tmp_path / 's.wav'), **mas)
    assert pedidos == [None, 5.12]


MUCHAS = '''
import sys
import pyarrow as pa, pyarrow.parquet as pq, torch
from datasets import Dataset
from img2audio import embeddings
from img2audio.comun.sistema import pico
from img2audio.puertas import escala
class Codificador:
    def __init__(self, *args): pass
    def texto(self, textos, *args): return torch.rand(len(textos), 512)
for modulo in (embeddings, escala): modulo.CodificadorCLIP = modulo.CodificadorCLAP = Codificador
embeddings.huella_extraccion = lambda *args: 'huella'
embeddings.leer_embeddings = lambda archivo: pq.ParquetFile(archivo).metadata.num_rows
def textos(n): return [f'descripción {i}' for i in range(n)]
def extraer_embeddings(n):
    tabla = Dataset.from_dict(dict(caption=textos(n)))
    assert embeddings.extraer_embeddings(tabla, f'{n}.parquet', progreso=False) == n
def extraer_a_escala(n):
    pq.write_table(pa.table(dict(caption=textos(n))), f't{n}.parquet')  # en un solo grupo de filas
    assert sum(h['filas'] for h in escala.extraer_a_escala(f't{n}.parquet', f'e{n}', progreso=False)) == n
f, *tamaños = sys.argv[1:]
for n in map(int, tamaños):
    globals()[f](n)
    print(pico())
'''


@pytest.mark.skipif(not os.path.exists('/proc/self/status'), reason='sin /proc')
@pytest.mark.parametrize('cual', ['extraer_embeddings', 'extraer_a_escala'])
def test_la_memoria_no_depende_de_las_filas(cual, tmp_path):
    "Con seis veces más filas hay 160 MiB de vectores más; de memoria, menos de la mitad."
    r = subprocess.run(
        [sys.executable, '-c', MUCHAS, cual, '8192', '49152'], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert r.returncode == 0, r.stderr[-3000:]
    antes, despues = map(float, r.stdout.split())
    print(f'{antes:.0f} MiB, y {despues - antes:.0f} más')
    assert despues - antes < 80

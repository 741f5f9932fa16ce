"Los embeddings, entre procesos: qué trozos se reconocen como propios, y qué deja quien muere escribiendo."
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ENTORNO = {**os.environ, 'HF_HUB_OFFLINE': '1', 'PYTHONUTF8': '1', 'OMP_NUM_THREADS': '1'}


def python(codigo: str, carpeta: Path, **entorno) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, '-c', codigo], cwd=carpeta, env=ENTORNO | entorno, capture_output=True, text=True, encoding='utf-8', timeout=300)


# Una tabla que no viene de `base_mini` tal cual, sino de transformarla con funciones sueltas, y un corte en el segundo trozo
CORTADA = '''
from img2audio import embeddings
from img2audio.base_de_datos import base_mini
hechos, escribir = [], embeddings._escribir
def anunciar(tabla, archivo):
    escribir(tabla, archivo)
    hechos.append(archivo.name)
    if len(hechos) == {cortar}: import os; os._exit(9)
embeddings._escribir = anunciar
tabla = base_mini(40).filter(lambda c: len(c) < 3, input_columns='clases').map(lambda f: dict(caption=f['caption'].upper()))
embeddings.extraer_embeddings(tabla, 'tabla.parquet', parte=20, progreso=False)
print(*hechos)
'''


def test_otro_proceso_reconoce_los_trozos(tmp_path):
    "La huella no depende del proceso (ni de su `PYTHONHASHSEED`), ni de cómo se hizo la tabla."
    assert python(CORTADA.format(cortar=1), tmp_path, PYTHONHASHSEED='1').returncode == 9
    assert [f.name for f in next(tmp_path.glob('tabla.parquet.*.trozos')).iterdir()] == ['000000000.parquet']
    r = python(CORTADA.format(cortar=0), tmp_path, PYTHONHASHSEED='2')
    assert r.returncode == 0, r.stderr[-3000:]
    assert r.stdout.split() == ['000000020.parquet', 'tabla.parquet']
    assert [f.name for f in tmp_path.iterdir()] == ['tabla.parquet']


ESCRIBE_TXT = '''
import numpy as np
from datasets import Dataset
from img2audio.embeddings import guardar_txt
v = np.full((20_000, 512), .1, np.float32)
print('empieza', flush=True)
guardar_txt(Dataset.from_dict(dict(caption=['a']*len(v), clip=v, clap=v)), 'textos')
'''


@pytest.mark.skipif(not hasattr(signal, 'SIGKILL'), reason='sin SIGKILL')
def test_morir_escribiendo_textos(tmp_path):
    "A mitad no hay carpeta con el nombre final; la vez siguiente se escribe entera."
    from datasets import Dataset

    from img2audio.embeddings import guardar_txt, leer_txt
    proceso = subprocess.Popen([sys.executable, '-c', ESCRIBE_TXT], cwd=tmp_path, env=ENTORNO, stdout=subprocess.PIPE, text=True)
    parcial = tmp_path/'textos.parcial'
    while proceso.poll() is None and not (parcial/'000000010.txt').exists(): pass
    proceso.kill()
    proceso.communicate()
    assert proceso.returncode == -signal.SIGKILL
    assert parcial.is_dir() and not (tmp_path/'textos').exists()
    v = [[.5]*512]*3
    guardar_txt(Dataset.from_dict(dict(caption=['a', 'b', 'c'], clip=v, clap=v)), tmp_path/'textos')
    assert list(leer_txt(tmp_path/'textos')['caption']) == ['a', 'b', 'c']
    assert not parcial.exists()

"Lo que se mata a mitad sigue donde quedó: el entrenamiento, hasta el último bit, y la extracción de embeddings."
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

ENTORNO = {**os.environ, 'HF_HUB_OFFLINE': '1', 'PYTHONUTF8': '1', 'OMP_NUM_THREADS': '1'}
PASOS, CADA, FILAS, TROZO = 40, 10, 60, 10

# Cada paso del entrenamiento y cada trozo de la extracción se anuncian por la salida; con espera, da tiempo a matarlos
TRABAJO = f'''
import sys, time
from pathlib import Path
import torch
from img2audio import embeddings
from img2audio.base_de_datos import base_mini
from img2audio.miniatura import entrenar

def regresion(carpeta, espera=0.):
    torch.manual_seed(0)
    red = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
    def perdida(paso):
        print('paso', carpeta, paso, flush=True)
        time.sleep(espera)
        x = torch.randn(32, 8)
        return dict(total=(red(x) - x.sum(1, keepdim=True)).square().mean())
    entrenar(Path(carpeta), dict(red=red), dict(red=perdida), {PASOS}, 1e-2, cada={CADA})

def extraccion(carpeta, espera=0.):
    escribir = embeddings._escribir
    def anunciar(tabla, archivo):
        escribir(tabla, archivo)
        print('trozo', carpeta, archivo.name, flush=True)
        time.sleep(espera)
    embeddings._escribir = anunciar
    embeddings.extraer_embeddings(base_mini({FILAS}), f'{{carpeta}}/tabla.parquet', parte={TROZO}, progreso=False)
    embeddings._escribir = escribir

for que in sys.argv[1:]:
    nombre, carpeta, *espera = que.split(':')
    dict(regresion=regresion, extraccion=extraccion)[nombre](carpeta, *map(float, espera))
'''


def lanzar(carpeta: Path, *trabajos: str) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, 'trabajo.py', *trabajos], cwd=carpeta, env=ENTORNO, stdout=subprocess.PIPE,
                            stderr=(carpeta/'error.txt').open('a'), text=True, encoding='utf-8')


def matar_tras(proceso: subprocess.Popen, anuncio: str, veces: int) -> None:
    "SIGKILL en cuanto el proceso ha anunciado algo tantas veces."
    for linea in proceso.stdout:
        veces -= linea.startswith(anuncio)
        if not veces: break
    proceso.kill()
    proceso.stdout.close()
    assert proceso.wait(60) == -signal.SIGKILL


@pytest.fixture(scope='module')
def carpeta(tmp_path_factory) -> Path:
    "Dos trabajos matados, reanudados y acabados, y los mismos dos sin que nadie los moleste."
    d = tmp_path_factory.mktemp('reanudar')
    (d/'trabajo.py').write_text(TRABAJO, encoding='utf-8')
    entrena, extrae = lanzar(d, 'regresion:cortada:.05'), lanzar(d, 'extraccion:partida:1')
    matar_tras(entrena, 'paso', 2*CADA + CADA//2)
    matar_tras(extrae, 'trozo', 2)
    (d/'a_mitad.json').write_text(json.dumps([f.relative_to(d).as_posix() for f in d.rglob('*')]))
    # y lo que dejaría un corte en plena escritura
    (d/'cortada'/'estado.safetensors.0a1b2c3d.parcial').write_bytes(b'a medias')
    (next((d/'partida').glob('*.trozos'))/'000000020.parquet.0a1b2c3d.parcial').write_bytes(b'a medias')
    fin = lanzar(d, 'regresion:cortada', 'extraccion:partida', 'regresion:seguida', 'extraccion:entera')
    try: (d/'salida.txt').write_text(fin.communicate(timeout=900)[0], encoding='utf-8')
    finally: fin.kill()
    assert fin.returncode == 0, (d/'error.txt').read_text(encoding='utf-8')[-3000:]
    return d


def anunciado(carpeta: Path, que: str) -> list[str]:
    return [o.split()[-1] for o in (carpeta/'salida.txt').read_text(encoding='utf-8').splitlines() if o.startswith(que)]


def test_se_mato_a_mitad(carpeta):
    dejado = json.loads((carpeta/'a_mitad.json').read_text())
    assert 'cortada/estado.safetensors' in dejado
    assert 'partida/tabla.parquet' not in dejado
    assert len([f for f in dejado if '.trozos/' in f and f.endswith('.parquet')]) == 2


def test_el_entrenamiento_sigue_donde_quedo(carpeta):
    assert anunciado(carpeta, 'paso cortada') == [str(i) for i in range(2*CADA, PASOS)]


def test_mismos_pesos_que_sin_corte(carpeta):
    "Pesos, media móvil y estado del optimizador, bit a bit."
    a, b = (load_file(carpeta/d/'estado.safetensors') for d in ('cortada', 'seguida'))
    assert a.keys() == b.keys() and {k.split('.')[0] for k in a} == {'red', 'media', 'opt'}
    assert not [k for k in a if not a[k].equal(b[k])]


def test_misma_curva_que_sin_corte(carpeta):
    a, b = ([json.loads(o) for o in (carpeta/d/'curva.jsonl').read_text().splitlines()] for d in ('cortada', 'seguida'))
    for fila in a + b: fila.pop('segundos')
    assert a == b and [f['paso'] for f in a] == list(range(CADA, PASOS + 1, CADA))


def test_la_extraccion_sigue_donde_quedo(carpeta):
    assert anunciado(carpeta, 'trozo partida') == [*(f'{i:09d}.parquet' for i in range(2*TROZO, FILAS, TROZO)), 'tabla.parquet']


def test_misma_tabla_que_sin_corte(carpeta):
    import pandas as pd
    a, b = (pd.read_parquet(carpeta/d/'tabla.parquet') for d in ('partida', 'entera'))
    assert len(a) == FILAS and a.caption.tolist() == b.caption.tolist()
    for c in ('clip', 'clap'): assert (a[c].map(bytes) == b[c].map(bytes)).all()


def test_no_quedan_restos(carpeta):
    assert [f.name for f in (carpeta/'partida').iterdir()] == ['tabla.parquet']

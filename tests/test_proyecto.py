"El proyecto por fuera: metadatos, paquete, cuadernos y tamaño de los ficheros."

import configparser
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

RAIZ = Path(__file__).resolve().parents[1]
PAQUETE = RAIZ / 'img2audio'
CUADERNOS = sorted((RAIZ / 'nbs').rglob('*.ipynb'))
MIB = 2**20
IGNORADOS = {
    '.venv-originales',
    '.venv-minimas',
    '.git',
    '.venv',
    '__pycache__',
    '.pytest_cache',
    '.ipynb_checkpoints',
    'salida',
    'build',
    'dist',
    '_docs',
    '_proc',
}


def ficheros() -> list[Path]:
    "Los del repositorio: lo que git sigue o seguiría; fuera de git, todo menos lo que producen las órdenes."
    r = subprocess.run(
        ['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
        cwd=RAIZ,
        capture_output=True,
        text=True,
    )
    if r.returncode == 0:
        todos = [RAIZ / o for o in r.stdout.split('\0') if o]
    else:
        todos = [f for f in RAIZ.rglob('*') if not IGNORADOS & set(f.relative_to(RAIZ).parts)]
    return sorted(f for f in todos if f.is_file() and not f.is_symlink())


PARTES_CON_DATOS = [('img2audio', c) for c in ('pesos', 'dibujos', 'fotos')]


def datos_del_paquete() -> list[str]:
    "Rutas, desde la raíz, de los pesos, los dibujos, la lista de fotografías y la gramática que van en el paquete."
    return [
        f.relative_to(RAIZ).as_posix()
        for f in ficheros()
        if f == PAQUETE / 'gramatica.json' or f.relative_to(RAIZ).parts[:2] in PARTES_CON_DATOS
    ]


@pytest.fixture(scope='module')
def rueda(tmp_path_factory) -> Path:
    "El paquete construido en una copia, para no dejar restos en el repositorio."
    copia, salida = tmp_path_factory.mktemp('copia'), tmp_path_factory.mktemp('rueda')
    for n in ('settings.ini', 'setup.py', 'pyproject.toml', 'MANIFEST.in', 'LICENSE', 'README.md'):
        if (RAIZ / n).exists():
            shutil.copy(RAIZ / n, copia / n)
    for f in ficheros():
        if not f.is_relative_to(PAQUETE):
            continue
        destino = copia / f.relative_to(RAIZ)
        destino.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(f, destino)
    orden = [
        sys.executable,
        '-m',
        'pip',
        'wheel',
        '-q',
        '--no-deps',
        '--no-build-isolation',
        '-w',
        str(salida),
        str(copia),
    ]
    r = subprocess.run(orden, capture_output=True, text=True)
    assert r.returncode == 0, r.stdout + r.stderr
    return next(salida.glob('img2audio-*.whl'))


def test_orden_de_consola():
    cfg = configparser.ConfigParser(delimiters=['='])
    cfg.read(RAIZ / 'settings.ini', encoding='utf-8')
    assert (
        cfg['DEFAULT']['console_scripts']
        == 'img2audio=img2audio.puertas.orden:principal img2audio_app=img2audio.puertas.aplicacion:principal_app'
    )


def test_nbdev_lee_la_configuracion():
    from nbdev.config import get_config

    cfg = get_config(path=RAIZ)
    assert (cfg.lib_name, cfg.tst_flags, cfg.language) == ('img2audio', 'notest', 'Spanish')
    assert (cfg.nbs_path, cfg.lib_path, cfg.doc_path) == (RAIZ / 'nbs', PAQUETE, RAIZ / '_docs')
    assert cfg.jupyter_hooks and cfg.clean_ids and cfg.custom_sidebar


def test_versiones_fijas():
    lineas = [
        o for o in (RAIZ / 'constraints.txt').read_text(encoding='utf-8').splitlines() if o and not o.startswith('#')
    ]
    malas = [o for o in lineas if not re.fullmatch(r'[A-Za-z0-9._-]+==[A-Za-z0-9._!]+', o)]
    assert not malas, f'ni rutas ni etiquetas locales: {malas}'
    assert {'torch', 'transformers', 'diffusers', 'nbdev'} <= {o.split('==')[0].lower() for o in lineas}


def test_una_sola_configuracion_del_sitio():
    assert (RAIZ / 'nbs' / '_quarto.yml').resolve() == RAIZ / '_quarto.yml'


def test_rueda_lleva_los_modulos(rueda):
    dentro = set(zipfile.ZipFile(rueda).namelist())
    modulos = {f.relative_to(RAIZ).as_posix() for f in PAQUETE.glob('*.py')}
    assert modulos and not modulos - dentro
    assert not [o for o in dentro if o.split('/')[0] not in ('img2audio', rueda.name.rsplit('-', 3)[0] + '.dist-info')]


def test_rueda_lleva_los_datos(rueda):
    datos = datos_del_paquete()
    if not datos:
        pytest.skip('el paquete aún no lleva pesos ni dibujos')
    zf = zipfile.ZipFile(rueda)
    distintos = [o for o in datos if o not in zf.namelist() or zf.getinfo(o).file_size != (RAIZ / o).stat().st_size]
    assert not distintos


def test_rueda_declara_la_orden_y_los_requisitos(rueda):
    zf = zipfile.ZipFile(rueda)

    def leer(fin):
        return zf.read(next(o for o in zf.namelist() if o.endswith(fin))).decode('utf-8')

    for o in (
        'img2audio = img2audio.puertas.orden:principal',
        'img2audio_app = img2audio.puertas.aplicacion:principal_app',
    ):
        assert o in leer('.dist-info/entry_points.txt')
    metadatos = leer('.dist-info/METADATA')
    for o in (
        'Name: img2audio',
        'Requires-Python: >=3.11',
        'Requires-Dist: torch',
        'Provides-Extra: app',
        'Provides-Extra: dev',
        'Provides-Extra: escala',
        'Apache-2.0',
    ):
        assert o in metadatos


@pytest.mark.parametrize('cuaderno', CUADERNOS, ids=lambda f: f.stem)
def test_cuaderno(cuaderno):
    assert cuaderno.stat().st_size <= 3 * MIB, f'{cuaderno.name} ocupa {cuaderno.stat().st_size / MIB:.1f} MiB'
    nb = json.loads(cuaderno.read_text(encoding='utf-8'))
    assert nb['nbformat'] == 4 and nb['nbformat_minor'] >= 5
    assert nb['metadata']['kernelspec']['name'] == 'python3'
    for i, c in enumerate(nb['cells']):
        assert isinstance(c['source'], list), f'celda {i}: source no es una lista de líneas'
        errores = [o.get('ename') for o in c.get('outputs', []) if o['output_type'] == 'error']
        assert not errores, f'celda {i}: la salida guardada es un error, {errores}'


def test_identificadores_de_celda_unicos():
    for f in CUADERNOS:
        ids = [c['id'] for c in json.loads(f.read_text(encoding='utf-8'))['cells']]
        assert len(ids) == len(set(ids)), f.name


def test_tamano_de_los_ficheros():
    grandes = {
        f.relative_to(RAIZ).as_posix(): f'{f.stat().st_size / MIB:.1f} MiB'
        for f in ficheros()
        if f.stat().st_size > 24 * MIB
    }
    assert not grandes


def test_sin_rutas_de_una_maquina():
    "Ni carpetas de quien lo escribió ni vecinas del repositorio: en otra máquina no existen."
    prohibido = re.compile(r'(?<![\w.+/])/(?:work|root)/|\.\./' + 'shared')
    malos = {}
    for f in ficheros():
        datos = f.read_bytes()
        if b'\0' in datos[:8192]:
            continue
        try:
            texto = datos.decode('utf-8')
        except UnicodeDecodeError:
            continue
        if m := prohibido.search(texto):
            malos[f.relative_to(RAIZ).as_posix()] = texto[max(0, m.start() - 30) : m.end() + 30]
    assert not malos


def test_pesos_del_paquete_caben():
    "Los de los modelos, en 64 MiB; y con los índices, los tokenizadores y lo demás que viaja con ellos, en 66."
    suyos = {o: (RAIZ / o).stat().st_size for o in datos_del_paquete() if '/pesos/' in o}
    pesos = sum(n for o, n in suyos.items() if o.endswith('model.safetensors'))
    assert pesos <= 64 * MIB, f'{pesos / MIB:.1f} MiB de pesos'
    assert sum(suyos.values()) <= 66 * MIB, f'{sum(suyos.values()) / MIB:.1f} MiB con lo demás'


def test_el_readme_lleva_las_cifras_de_los_pesos():
    """Las filas de su tabla son de `cifras.json`, que viaja con los pesos:
    si se cambian unos, hay que ejecutar otra vez el índice."""
    from img2audio.comun.textos import con_coma

    leeme = (RAIZ / 'README.md').read_text(encoding='utf-8')
    cifras = json.loads((RAIZ / 'img2audio/pesos/mini/cifras.json').read_text(encoding='utf-8'))
    dicho, debe = (
        dict(re.findall(r'^\| ([^|]+?) \| (-?\d+,\d+)', leeme, re.M)),
        {f['que']: con_coma(f['valor']) for f in cifras.values()},
    )
    comunes = dicho.keys() & debe.keys()
    assert len(comunes) >= 5
    assert not {q: (dicho[q], debe[q]) for q in comunes if dicho[q] != debe[q]}


def test_las_direcciones_salen_de_settings_ini(tmp_path):
    "Con otro `user`, todas las direcciones del proyecto cambian, y vuelven a ser las de antes al deshacerlo."
    guion = [sys.executable, 'herramientas/direcciones.py']
    assert subprocess.run([*guion, '--comprobar'], cwd=RAIZ).returncode == 0
    copia = tmp_path / 'copia'
    for f in ficheros():
        if f.suffix not in ('.safetensors', '.png', '.svg', '.parquet'):
            destino = copia / f.relative_to(RAIZ)
            destino.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(f, destino)
    for orden in ('init -q', 'add -A'):
        subprocess.run(['git', *orden.split()], cwd=copia, check=True)
    ini = copia / 'settings.ini'
    antes = {
        n: (copia / n).read_text(encoding='utf-8')
        for n in ('README.md', 'CITATION.cff', 'CONTRIBUTING.md', 'nbs/404.qmd', 'nbs/nbdev.yml', 'nbs/02_normas.ipynb')
    }
    ini.write_text(re.sub(r'(?m)^user = .*', 'user = otra-persona', ini.read_text(encoding='utf-8')), encoding='utf-8')
    assert subprocess.run([*guion, '--comprobar'], cwd=copia, capture_output=True).returncode == 1
    assert subprocess.run(guion, cwd=copia, capture_output=True).returncode == 0
    for n in antes:
        texto = (copia / n).read_text(encoding='utf-8')
        assert (
            'otra-persona' in texto and 'github.com/img2audio/' not in texto and 'img2audio.github.io' not in texto
        ), n
    assert subprocess.run([*guion, '--comprobar'], cwd=copia).returncode == 0

"""Nada se pierde: lo que se mata, se interrumpe o se queda sin disco acaba, al volver a empezar, como si nada.

Con `IMG2AUDIO_LARGO=1`, diez veces más muertes."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hub_local import Hub, entorno_con

LARGO = os.environ.get('IMG2AUDIO_LARGO') == '1'
MUERTES = 200 if LARGO else 20
TRABAJOS = ('extraccion', 'traductor', 'entrenamiento', 'descarga', 'lote')
if not hasattr(os, 'fork'):
    pytest.skip('sin fork', allow_module_level=True)


@pytest.fixture(scope='module')
def taller(tmp_path_factory) -> Path:
    "Un perfil diminuto, y la casa de un usuario."
    from img2audio.taller.imitacion import crear_aleatorio

    d = tmp_path_factory.mktemp('cortes')
    crear_aleatorio(d / 'modelos', 'diminuto')
    return d


def montar() -> list[str]:
    """Con qué se abre un espacio de montajes propio, en el que un disco pequeño desaparece con su proceso;
    nada, si aquí no se puede."""
    orden = ['unshare', '--mount', *([] if os.geteuid() == 0 else ['--user', '--map-root-user'])]
    with tempfile.TemporaryDirectory() as d:
        se_puede = (
            shutil.which('unshare')
            and not subprocess.run(
                [*orden, 'mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', d], capture_output=True
            ).returncode
        )
    return orden if se_puede else []


@pytest.fixture(scope='module')
def hecho(taller) -> dict:
    """Ejecuta `cortes.py`, con un hub de esta máquina al lado y, si se puede, un disco que se llena.
    Da `{trabajo: {prueba: cuenta, o el texto de su fallo}}`."""
    hub, orden = Hub(), montar()
    try:
        for i, m in enumerate(('clip', 'clap', 'audioldm')):
            hub.publicar(f'pruebas/{m}', taller / 'modelos' / m, f'{i}' * 40)
        entorno = entorno_con(hub, taller, TOKENIZERS_PARALLELISM='false', MUERTES=str(MUERTES))
        (taller / 'disco').mkdir()
        r = subprocess.run(
            [
                *orden,
                sys.executable,
                str(Path(__file__).with_name('cortes.py')),
                str(taller / 'cortes'),
                str(taller / 'modelos'),
                str(taller / 'cortes.json'),
                str(taller / 'disco') if orden else '',
            ],
            cwd=taller,
            env=entorno,
            capture_output=True,
            text=True,
            encoding='utf-8',
            timeout=14_400 if LARGO else 1200,
        )
    finally:
        hub.cerrar()
    assert r.returncode == 0, r.stderr[-3000:]
    return json.loads((taller / 'cortes.json').read_text())


def comprobar(hecho: dict, trabajo: str, prueba: str):
    assert hecho[trabajo]['de_una'] is None, hecho[trabajo]['de_una']
    hay = hecho[trabajo][prueba]
    assert not isinstance(hay, str), hay
    return hay


@pytest.mark.parametrize('trabajo', TRABAJOS)
def test_matado_en_cualquier_momento(hecho, trabajo, apuntar):
    """SIGKILL en momentos al azar: lo que tiene su nombre definitivo está entero, y al volver a empezar sale lo mismo,
    byte a byte."""
    hay = comprobar(hecho, trabajo, 'muertes')
    assert hay['cortes'] == MUERTES and hay['estados'] == [-9]
    apuntar(hay['cortes'])


@pytest.mark.parametrize('trabajo', TRABAJOS)
def test_interrumpido_con_ctrl_c(hecho, trabajo, apuntar):
    "SIGINT: estado 130, una línea y ninguna traza; lo hecho sirve, y al volver a empezar sale lo mismo."
    hay = comprobar(hecho, trabajo, 'interrupciones')
    assert hay['cortes'] and hay['estados'] == [130], json.dumps(hay, ensure_ascii=False)
    apuntar(hay['cortes'])


@pytest.mark.parametrize('trabajo', TRABAJOS)
def test_dos_a_la_vez(hecho, trabajo, apuntar):
    "Dos procesos en la misma carpeta: acaban los dos, y sale lo mismo que con uno."
    apuntar(comprobar(hecho, trabajo, 'a_la_vez'))


@pytest.mark.parametrize('trabajo', TRABAJOS)
def test_disco_lleno(hecho, trabajo, apuntar):
    "Se dice que no queda sitio, no aparece nada a medias y, con sitio, sale lo mismo."
    if hecho[trabajo]['de_una'] is None and 'lleno' not in hecho[trabajo]:
        pytest.skip('aquí no se puede montar un disco pequeño (unshare y mount)')
    hay = comprobar(hecho, trabajo, 'lleno')
    assert hay['llenos'], 'no se llegó a llenar'
    apuntar(hay['llenos'])

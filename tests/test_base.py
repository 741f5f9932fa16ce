"El perfil `base` por fuera: descargas de verdad, de un hub de esta máquina que sirve modelos diminutos con los nombres, revisiones y archivos de los públicos."
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hub_local import Hub

from img2audio.comun.perfiles import PERFILES

PIEZAS = ('clip', 'clap', 'audioldm')
CLIP, CLAP, AUDIOLDM = (getattr(PERFILES['base'], m).split('@')[0] for m in PIEZAS)
PESOS = 'model.safetensors'

# Un solo proceso hace todas las descargas: importar los modelos cuesta segundos. Deja en hecho.json lo que pasó, y en suena.npy lo que sonó.
TANDA = '''
import json
from dataclasses import replace
import numpy as np
from huggingface_hub import constants
from img2audio.comun.perfiles import ModeloNoDisponible, misma_torre
from img2audio.comun.perfiles import Perfil, cargar_perfil
from img2audio.integracion import sonorizar

constants.DOWNLOAD_CHUNK_SIZE = 2**16  # 10 MB de fábrica: los pesos diminutos cabrían en un trozo, y no habría mitad por la que seguir
hecho = {}
def intentar(nombre, perfil, **opciones):
    try: hecho[nombre] = ['bien', p := cargar_perfil(perfil, **opciones)][0], vars(p)
    except ModeloNoDisponible as e: hecho[nombre] = 'ModeloNoDisponible', str(e)

local = Perfil('local', *json.load(open('local.json')))
for n in ('privado', 'caducado', 'no-existe', 'cerrado', 'saturado', 'caido', 'otra@0123456789', 'sin-pesos', 'corto', 'corto', 'corte'):
    intentar(n if n not in hecho else n + ' otra vez', replace(local, clip=f'pruebas/{n}'))
intentar('nada', replace(local, clip='/no/existe'))
intentar('base', 'base', con_traductor=True)
intentar('base-l', 'base-l')
base, mayor = (Perfil(**hecho[n][1]) for n in ('base', 'base-l'))
hecho['torres'] = [misma_torre(p.clap, p.audioldm + '/text_encoder') for p in (base, mayor)]
np.save('suena.npy', sonorizar('🐓', perfil=base, segundos=1, pasos=2, semilla=3, progreso=False).muestras)
np.save('suena_mayor.npy', sonorizar('🐓', perfil=replace(mayor, traductor=base.traductor), segundos=1, pasos=2, semilla=3, progreso=False).muestras)
json.dump(hecho, open('hecho.json', 'w'))
'''

# Y otro, sin hub: lo que ya está en la caché, y lo que no.
SIN_RED = '''
import json, runpy, sys, time
from dataclasses import replace
from pathlib import Path
import numpy as np
from huggingface_hub import constants
from img2audio.comun.perfiles import ModeloNoDisponible, descargar_perfil
from img2audio.comun.perfiles import Perfil, cargar_perfil
from img2audio.integracion import sonorizar

hecho, base = {}, cargar_perfil('base', con_traductor=True)
np.save('suena_sin_red.npy', sonorizar('🐓', perfil=base, segundos=1, pasos=2, semilla=3, progreso=False).muestras)
def intentar(nombre, perfil):
    descargar_perfil.cache_clear()
    try: hecho[nombre] = vars(cargar_perfil(perfil))
    except ModeloNoDisponible as e: hecho[nombre] = str(e)
intentar('base-m', 'base-m')
intentar('mezcla', Perfil('mezcla', *json.load(open('local.json'))[:2], 'cvssp/audioldm-m-full', ''))
constants.HF_HUB_OFFLINE, time.sleep = False, lambda s: None   # ahora sin la variable: el hub, sencillamente, no contesta
intentar('sin hub', 'base-m')
pesos = (Path(base.clip)/'model.safetensors').resolve()
pesos.write_bytes(pesos.read_bytes()[:-100])
intentar('dañado', 'base')
sys.argv = ['img2audio.puertas.base', 'aleatorio', 'azar', '--tamano', 'diminuto']
runpy.run_module('img2audio.puertas.base', run_name='__main__')   # «python -m img2audio.puertas.base …», sin volver a importarlo todo
json.dump(hecho, open('sin_red.json', 'w'))
'''


@pytest.fixture(scope='module')
def taller(tmp_path_factory) -> Path:
    "Modelos al azar con los archivos de los públicos, y lo que un repositorio lleva además y no hay que bajar."
    from img2audio.taller.imitacion import crear_aleatorio
    d = tmp_path_factory.mktemp('base')
    p = crear_aleatorio(d/'modelos', 'diminuto')
    crear_aleatorio(d/'trozos', 'diminuto', por_archivo='200KB', semilla=1)
    (d/'local.json').write_text(json.dumps([p.clip, p.clap, p.audioldm, p.traductor]))
    for m in PIEZAS[:2]:
        for sobra in ('README.md', '.gitattributes', 'pytorch_model.bin', 'flax_model.msgpack', 'tf_model.h5'): (d/'modelos'/m/sobra).write_bytes(b'no se baja')
    for parte in ('unet', 'vae'): (d/'modelos'/'audioldm'/parte/'diffusion_pytorch_model.bin').write_bytes(b'no se baja')
    shutil.copytree(d/'modelos'/'clip', d/'sin_pesos', ignore=shutil.ignore_patterns('*.safetensors'))
    return d


@pytest.fixture(scope='module')
def hub(taller):
    "El hub, con los repositorios de `base` y `base-l` y unos cuantos averiados."
    h = Hub()
    for m in PIEZAS: h.publicar(*(getattr(PERFILES['base'], m).split('@')[0], taller/'modelos'/m, getattr(PERFILES['base'], m).split('@')[1]))
    nombre, revision = PERFILES['base-l'].audioldm.split('@')
    h.publicar(nombre, taller/'trozos'/'audioldm', revision)  # con los pesos en varios archivos, y otro CLAP dentro
    h.publicar('pruebas/traductor', taller/'modelos'/'traductor', 'a'*40)
    for i, n in enumerate(('cerrado', 'saturado', 'caido', 'otra', 'corto', 'corte')): h.publicar(f'pruebas/{n}', taller/'modelos'/'clip', f'{i}'*40)
    h.publicar('pruebas/sin-pesos', taller/'sin_pesos', 'f'*40)
    h.averias |= {
        'pruebas/privado': dict(todo=(401, dict(X_Error_Message='Invalid username or password.'))),
        'pruebas/caducado': dict(todo=(401, dict(X_Error_Message='Invalid credentials in Authorization header'))),
        'pruebas/cerrado': {'config.json': (403, dict(X_Error_Code='GatedRepo'))},
        'pruebas/saturado': dict(api=(429, dict(Retry_After=0))),
        'pruebas/caido': {'config.json': 503},
        'pruebas/corto': {PESOS: 'corto'}, 'pruebas/corte': {PESOS: 'corte'},
        CLIP: {PESOS: 'atasco'}}
    yield h
    h.cerrar()


def entorno(taller: Path, hub: Hub, **mas) -> dict:
    "El de un usuario con otra casa y otro hub."
    limpio = {k: v for k, v in os.environ.items() if not k.startswith(('HF_', 'TRANSFORMERS_', 'IMG2AUDIO_'))}
    return limpio | dict(HOME=str(taller/'casa'), HF_HOME=str(taller/'hf'), HF_ENDPOINT=hub.url, HF_HUB_DISABLE_TELEMETRY='1', IMG2AUDIO_TRADUCTOR='pruebas/traductor',
                         NO_PROXY='127.0.0.1,localhost', no_proxy='127.0.0.1,localhost', PYTHONUTF8='1', OMP_NUM_THREADS='1') | mas


def carpeta_de(taller: Path, nombre: str) -> Path:
    "La carpeta de un modelo en la caché."
    return taller/'hf'/'hub'/f'models--{nombre.replace("/", "--")}'


@pytest.fixture(scope='module')
def muerto(taller, hub) -> dict:
    "Un proceso al que matan con los pesos de CLIP a medias: lo que queda en la caché."
    p = subprocess.Popen([sys.executable, '-c', "from img2audio.comun.perfiles import cargar_perfil; cargar_perfil('base')"], cwd=taller, env=entorno(taller, hub), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert hub.atascado.wait(120), 'no llegó a pedir los pesos'
        d = carpeta_de(taller, CLIP)
        instantanea = d/'snapshots'/hub.repos[CLIP]['revision']
        for _ in range(200):  # los archivos pequeños llegan en paralelo, por otros hilos
            if len([f for f in instantanea.glob('*')]) == 7: break
            hub.suelta.wait(.05)
    finally:
        p.kill()
        p.communicate()
    assert p.returncode == -signal.SIGKILL
    hub.averias.pop(CLIP)
    hub.suelta.set()
    return dict(archivos=sorted(f.name for f in instantanea.iterdir()), a_medias=[f.name for f in (d/'blobs').glob('*.incomplete')], pedidos=len(hub.pedidos))


@pytest.fixture(scope='module')
def hecho(taller, hub, muerto) -> dict:
    "Lo que hizo la tanda de descargas. De CLAP ya estaban en la caché los pesos, y nada más: así los dejan a veces otros programas."
    pesos, d = taller/'modelos'/'clap'/PESOS, carpeta_de(taller, CLAP)
    blob, enlace = d/'blobs'/hashlib.sha256(pesos.read_bytes()).hexdigest(), d/'snapshots'/hub.repos[CLAP]['revision']/PESOS
    for f in (blob, enlace): f.parent.mkdir(parents=True)
    shutil.copy(pesos, blob)
    enlace.symlink_to(blob)
    (taller/'tanda.py').write_text(TANDA, encoding='utf-8')
    r = subprocess.run([sys.executable, 'tanda.py'], cwd=taller, env=entorno(taller, hub), capture_output=True, text=True, encoding='utf-8', timeout=600)
    assert r.returncode == 0, r.stderr[-3000:]
    return json.loads((taller/'hecho.json').read_text()) | dict(salida=r.stdout, error=r.stderr)


@pytest.fixture(scope='module')
def sin_red(taller, hub, hecho) -> dict:
    "Lo que se puede hacer después, con el hub cerrado y `HF_HUB_OFFLINE`."
    hub.cerrar()
    (taller/'sin_red.py').write_text(SIN_RED, encoding='utf-8')
    r = subprocess.run([sys.executable, 'sin_red.py'], cwd=taller, env=entorno(taller, hub, HF_HUB_OFFLINE='1'), capture_output=True, text=True, encoding='utf-8', timeout=600)
    assert r.returncode == 0, r.stderr[-3000:]
    return json.loads((taller/'sin_red.json').read_text()) | dict(salida=r.stdout)


@pytest.mark.skipif(not hasattr(signal, 'SIGKILL'), reason='sin SIGKILL')
def test_morir_a_mitad_no_deja_pesos(muerto):
    "Con su nombre, solo lo que llegó entero."
    assert PESOS not in muerto['archivos'] and 'config.json' in muerto['archivos'] and len(muerto['archivos']) == 7
    assert len(muerto['a_medias']) == 1


def test_despues_solo_se_baja_lo_que_faltaba(hub, muerto, hecho):
    luego = [ruta for metodo, nombre, ruta, _ in hub.pedidos[muerto['pedidos']:] if metodo == 'GET' and nombre == CLIP]
    assert luego == [PESOS]


def test_lo_que_dejo_otro_programa_se_completa(hub, hecho):
    assert 'config.json' in hub.descargados(CLAP) and PESOS not in hub.descargados(CLAP)


def test_de_los_repositorios_solo_lo_necesario(hub, hecho):
    bajados = {n: {r for r in hub.descargados(n) if r != 'api'} for n in (CLIP, CLAP, AUDIOLDM)}
    assert {Path(r).suffix for rutas in bajados.values() for r in rutas} == {'.json', '.txt', '.safetensors'}
    assert bajados[CLIP] == {'config.json', 'preprocessor_config.json', PESOS, 'tokenizer.json', 'tokenizer_config.json', 'vocab.json', 'merges.txt', 'special_tokens_map.json'}
    assert {'unet/diffusion_pytorch_model.safetensors', 'vae/config.json', 'vocoder/model.safetensors', 'scheduler/scheduler_config.json', 'text_encoder/model.safetensors', 'model_index.json'} <= bajados[AUDIOLDM]


def test_cada_uno_en_su_revision(taller, hub, hecho):
    estado, p = hecho['base']
    assert estado == 'bien'
    for m in PIEZAS:
        nombre, revision = getattr(PERFILES['base'], m).split('@')
        assert Path(p[m]) == carpeta_de(taller, nombre)/'snapshots'/revision
    assert Path(p['traductor']) == carpeta_de(taller, 'pruebas/traductor')/'snapshots'/('a'*40)


def test_se_avisa_de_lo_que_se_descarga(hecho):
    assert 'Se descargan, una sola vez, en ' in hecho['salida'] and f'{CLIP} (0.61 GB), {CLAP} (0.62 GB), {AUDIOLDM} (1.69 GB)' in hecho['salida']
    assert '%|' in hecho['error']  # con barras


def test_suena(taller, hecho):
    for archivo in ('suena.npy', 'suena_mayor.npy'):
        muestras = np.load(taller/archivo)
        assert muestras.shape == (16_000,) and np.isfinite(muestras).all() and muestras.std() > 1e-4
    assert hecho['torres'] == [True, True]


def test_otro_clap_se_cambia_por_el_de_audioldm(taller, hecho):
    "El AudioLDM de `base-l` es de otro CLAP (y en varios archivos): se usa su torre de texto, y se dice."
    assert hecho['base-l'][0] == 'bien' and hecho['base-l'][1]['clip'] == hecho['base'][1]['clip']
    assert Path(hecho['base-l'][1]['clap']).parent == taller/'casa'/'.cache'/'img2audio'
    assert 'se usará la torre de texto de AudioLDM' in hecho['salida']


ERRORES = {  # caso: lo que debe decir
    'privado': 'no existe, o es privado: revise el nombre y, si es suyo, identifíquese con «hf auth login»',
    'caducado': 'el hub no acepta su identificación (401): renuévela',
    'no-existe': 'no existe, o es privado',
    'cerrado': 'pide aceptar antes sus condiciones: hágalo en https://huggingface.co/pruebas/cerrado',
    'saturado': 'demasiadas peticiones de esta red (429): espere unos minutos',
    'caido': 'el hub ha respondido con un error (503): repita dentro de un rato',
    'otra@0123456789': 'no tiene ninguna revisión «0123456789»',
    'sin-pesos': 'no tiene pesos en safetensors',
    'corto': 'un archivo ha llegado cortado: repita',
    'nada': '«/no/existe» no es una carpeta que exista, ni un modelo del hub',
}


@pytest.mark.parametrize('caso', ERRORES)
def test_error(hecho, caso):
    estado, dicho = hecho[caso]
    assert estado == 'ModeloNoDisponible' and ERRORES[caso] in dicho and '\n' not in dicho
    if caso not in ('nada', 'sin-pesos'): assert f'No se pudo obtener pruebas/{caso.split("@")[0]}' in dicho and 'hf download' in dicho


def test_lo_que_llego_corto_no_se_queda(hub, taller, hecho):
    "Y repitiendo, llega: solo esos pesos."
    assert hecho['corto otra vez'][0] == 'bien'
    assert hub.descargados('pruebas/corto').count(PESOS) == 2 and hub.descargados('pruebas/corto').count('config.json') == 1
    bueno = (taller/'modelos'/'clip'/PESOS).read_bytes()
    assert (Path(hecho['corto otra vez'][1]['clip'])/PESOS).read_bytes() == bueno
    assert not list(carpeta_de(taller, 'pruebas/corto').rglob('*.incomplete'))


def test_si_la_conexion_se_corta_se_sigue_donde_iba(hub, taller, hecho):
    assert hecho['corte'][0] == 'bien'
    bueno = (taller/'modelos'/'clip'/PESOS).read_bytes()
    rangos = [rango for metodo, n, ruta, rango in hub.pedidos if n == 'pruebas/corte' and ruta == PESOS and metodo == 'GET' and rango]
    assert len(rangos) == 1 and 0 < int(rangos[0].removeprefix('bytes=').rstrip('-')) <= len(bueno)//2
    assert (Path(hecho['corte'][1]['clip'])/PESOS).read_bytes() == bueno


def test_sin_red_suena_lo_mismo(taller, sin_red):
    assert np.abs(np.load(taller/'suena.npy') - np.load(taller/'suena_sin_red.npy')).max() < 1e-3


@pytest.mark.parametrize('caso, dice', [
    ('base-m', 'la variable HF_HUB_OFFLINE impide usar la red. Por descargar: cvssp/audioldm-m-full (2.61 GB)'),
    ('mezcla', f'No se pudo obtener cvssp/audioldm-m-full (revisión {PERFILES["base-m"].audioldm.split("@")[1][:7]})'),  # por su nombre, la de los perfiles
    ('sin hub', 'no está en la caché, y no hay red. Por descargar: cvssp/audioldm-m-full (2.61 GB)'),
    ('dañado', 'está cortado o dañado: bórrelo y vuelva a obtenerlo')])
def test_sin_red_se_dice_que_falta(sin_red, caso, dice):
    assert isinstance(sin_red[caso], str) and dice in sin_red[caso]


def test_los_restos_se_recogen(taller, hub, sin_red):
    "Lo que dejó a medias el que murió, con la orden que dice el cuaderno."
    d = carpeta_de(taller, CLIP)/'blobs'
    assert len(list(d.glob('*.incomplete'))) == 1
    r = subprocess.run([Path(sys.executable).with_name('hf'), 'cache', 'prune', '--yes'], env=entorno(taller, hub), capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    assert not list(d.glob('*.incomplete'))


def test_orden(taller, sin_red, capsys):
    "`python -m img2audio.puertas.base`: el modelo al azar, y un error en español con estado 2."
    from img2audio.puertas.base import principal_base as principal
    assert '--perfil azar' in sin_red['salida']
    assert sorted(f.name for f in (taller/'azar').iterdir()) == ['audioldm', 'clap', 'clip', 'traductor']
    with pytest.raises(SystemExit, match='2'): principal('aleatorio', str(taller/'azar'), tamano='diminuto')
    assert capsys.readouterr().err.startswith(f'img2audio.puertas.base: «{taller}/azar» ya existe')

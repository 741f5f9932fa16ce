"""El perfil `base` por fuera: descargas de verdad, de un hub de esta máquina que sirve modelos diminutos con los
nombres, revisiones y archivos de los públicos."""

import hashlib
import json
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from diffusers import DDIMScheduler
from hub_local import Hub, entorno_con
from huggingface_hub import close_session, constants

from img2audio.comun.difusion import PLANIFICADORES
from img2audio.comun.perfiles import PERFILES, ModeloNoDisponible, Perfil, _traer

PIEZAS = ('clip', 'clap', 'audioldm')
CLIP, CLAP, AUDIOLDM = (getattr(PERFILES['base'], m).split('@')[0] for m in PIEZAS)
PESOS = 'model.safetensors'

# Un solo proceso hace todas las descargas: importar los modelos cuesta segundos.
# Deja en hecho.json lo que pasó, y en suena.npy lo que sonó.
TANDA = '''
import json
from dataclasses import replace
import numpy as np
from huggingface_hub import constants
from img2audio.comun.perfiles import ModeloNoDisponible, misma_torre
from img2audio.comun.perfiles import Perfil, cargar_perfil
from img2audio.comun.difusion import instantes, planificador
from img2audio.comun.textos import cargar_tokenizer
from img2audio.integracion import cargar_tuberia, sonorizar

# 10 MB de fábrica: los pesos diminutos cabrían en un trozo, y no habría mitad por la que seguir
constants.DOWNLOAD_CHUNK_SIZE = 2**16
hecho = {}
def intentar(nombre, perfil, **opciones):
    try: hecho[nombre] = ['bien', p := cargar_perfil(perfil, **opciones)][0], vars(p)
    except ModeloNoDisponible as e: hecho[nombre] = 'ModeloNoDisponible', str(e)

local = Perfil('local', *json.load(open('local.json')))
for n in ('privado', 'caducado', 'no-existe', 'cerrado', 'saturado', 'caido', 'otra@0123456789', 'sin-pesos',
          'corto', 'corto', 'corte'):
    intentar(n if n not in hecho else n + ' otra vez', replace(local, clip=f'pruebas/{n}'))
intentar('nada', replace(local, clip='/no/existe'))
intentar('base', 'base', con_traductor=True)
intentar('base-l', 'base-l')
base, mayor = (Perfil(**hecho[n][1]) for n in ('base', 'base-l'))
hecho['torres'] = [misma_torre(p.clap, p.audioldm + '/text_encoder') for p in (base, mayor)]
np.save('suena.npy', sonorizar('🐓', perfil=base, segundos=1, pasos=2, semilla=3, progreso=False).muestras)
con_otro = replace(mayor, traductor=base.traductor)
np.save('suena_mayor.npy', sonorizar('🐓', perfil=con_otro, segundos=1, pasos=2, semilla=3, progreso=False).muestras)
suyo = cargar_tuberia(base).scheduler
hecho['instantes'] = {str(n): instantes(planificador(suyo, n), 10).tolist() for n in (None, 'dpm', 'ddim', 'unipc')}
hecho['tokenizers'] = {m: type(cargar_tokenizer(getattr(base, m))).__name__ for m in ('clip', 'clap')}
json.dump(hecho, open('hecho.json', 'w'))
'''

# Y otro, sin hub: lo que ya está en la caché, y lo que no.
SIN_RED = '''
import io, json, runpy, sys, time
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
constants.HF_HUB_OFFLINE = False   # ahora sin la variable: el hub, sencillamente, no contesta
dicho, empieza, sys.stderr = sys.stderr, time.monotonic(), io.StringIO()
intentar('sin hub', 'base-m')
hecho['sin hub, y además'] = time.monotonic() - empieza, sys.stderr.getvalue()
sys.stderr = dicho
pesos = (Path(base.clip)/'model.safetensors').resolve()
pesos.write_bytes(pesos.read_bytes()[:-100])
intentar('dañado', 'base')
sys.argv = ['img2audio.puertas.base', 'aleatorio', 'azar', '--tamano', 'diminuto']
# «python -m img2audio.puertas.base …», sin volver a importarlo todo
runpy.run_module('img2audio.puertas.base', run_name='__main__')
json.dump(hecho, open('sin_red.json', 'w'))
'''


@pytest.fixture(scope='module')
def taller(tmp_path_factory) -> Path:
    "Modelos al azar con los archivos de los públicos, y lo que un repositorio lleva además y no hay que bajar."
    from img2audio.taller.imitacion import crear_aleatorio

    d = tmp_path_factory.mktemp('base')
    p = crear_aleatorio(d / 'modelos', 'diminuto')
    crear_aleatorio(d / 'trozos', 'diminuto', por_archivo='200KB', semilla=1)
    (d / 'local.json').write_text(json.dumps([p.clip, p.clap, p.audioldm, p.traductor]))
    for m in PIEZAS[:2]:
        for sobra in ('README.md', '.gitattributes', 'pytorch_model.bin', 'flax_model.msgpack', 'tf_model.h5'):
            (d / 'modelos' / m / sobra).write_bytes(b'no se baja')
    for parte in ('unet', 'vae'):
        (d / 'modelos' / 'audioldm' / parte / 'diffusion_pytorch_model.bin').write_bytes(b'no se baja')
    shutil.copytree(d / 'modelos' / 'clip', d / 'sin_pesos', ignore=shutil.ignore_patterns('*.safetensors'))
    return d


@pytest.fixture(scope='module')
def hub(taller):
    "El hub, con los repositorios de `base` y `base-l` y unos cuantos averiados."
    h = Hub()
    for m in PIEZAS:
        suyo, revision_suya = getattr(PERFILES['base'], m).split('@')
        h.publicar(suyo, taller / 'modelos' / m, revision_suya)
    nombre, revision = PERFILES['base-l'].audioldm.split('@')
    h.publicar(nombre, taller / 'trozos' / 'audioldm', revision)  # con los pesos en varios archivos, y otro CLAP dentro
    h.publicar('pruebas/traductor', taller / 'modelos' / 'traductor', 'a' * 40)
    for i, n in enumerate(('cerrado', 'saturado', 'caido', 'otra', 'corto', 'corte')):
        h.publicar(f'pruebas/{n}', taller / 'modelos' / 'clip', f'{i}' * 40)
    h.publicar('pruebas/sin-pesos', taller / 'sin_pesos', 'f' * 40)
    h.averias |= {
        'pruebas/privado': dict(todo=(401, dict(X_Error_Message='Invalid username or password.'))),
        'pruebas/caducado': dict(todo=(401, dict(X_Error_Message='Invalid credentials in Authorization header'))),
        'pruebas/cerrado': {'config.json': (403, dict(X_Error_Code='GatedRepo'))},
        'pruebas/saturado': dict(api=(429, dict(Retry_After=0))),
        'pruebas/caido': {'config.json': 503},
        'pruebas/corto': {PESOS: 'corto'},
        'pruebas/corte': {PESOS: 'corte'},
        CLIP: {PESOS: 'atasco'},
    }
    yield h
    h.cerrar()


def entorno(taller: Path, hub: Hub, **mas) -> dict:
    "El de un usuario con otra casa y otro hub, y en él su Traductor."
    return entorno_con(hub, taller, IMG2AUDIO_TRADUCTOR='pruebas/traductor', **mas)


def carpeta_de(taller: Path, nombre: str) -> Path:
    "La carpeta de un modelo en la caché."
    return taller / 'hf' / 'hub' / f'models--{nombre.replace("/", "--")}'


@pytest.fixture(scope='module')
def muerto(taller, hub) -> dict:
    "Un proceso al que matan con los pesos de CLIP a medias: lo que queda en la caché."
    p = subprocess.Popen(
        [sys.executable, '-c', "from img2audio.comun.perfiles import cargar_perfil; cargar_perfil('base')"],
        cwd=taller,
        env=entorno(taller, hub),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert hub.atascado.wait(120), 'no llegó a pedir los pesos'
        d = carpeta_de(taller, CLIP)
        instantanea = d / 'snapshots' / hub.repos[CLIP]['revision']
        for _ in range(200):  # los archivos pequeños llegan en paralelo, por otros hilos
            if len([f for f in instantanea.glob('*')]) == 7:
                break
            hub.suelta.wait(0.05)
    finally:
        p.kill()
        p.communicate()
    assert p.returncode == -signal.SIGKILL
    hub.averias.pop(CLIP)
    hub.suelta.set()
    return dict(
        archivos=sorted(f.name for f in instantanea.iterdir()),
        a_medias=[f.name for f in (d / 'blobs').glob('*.incomplete')],
        pedidos=len(hub.pedidos),
    )


@pytest.fixture(scope='module')
def hecho(taller, hub, muerto) -> dict:
    """Lo que hizo la tanda de descargas. De CLAP ya estaban en la caché los pesos, y nada más:
    así los dejan a veces otros programas."""
    pesos, d = taller / 'modelos' / 'clap' / PESOS, carpeta_de(taller, CLAP)
    blob = d / 'blobs' / hashlib.sha256(pesos.read_bytes()).hexdigest()
    enlace = d / 'snapshots' / hub.repos[CLAP]['revision'] / PESOS
    for f in (blob, enlace):
        f.parent.mkdir(parents=True)
    shutil.copy(pesos, blob)
    enlace.symlink_to(blob)
    (taller / 'tanda.py').write_text(TANDA, encoding='utf-8')
    r = subprocess.run(
        [sys.executable, 'tanda.py'],
        cwd=taller,
        env=entorno(taller, hub),
        capture_output=True,
        text=True,
        encoding='utf-8',
        timeout=600,
    )
    assert r.returncode == 0, r.stderr[-3000:]
    return json.loads((taller / 'hecho.json').read_text()) | dict(salida=r.stdout, error=r.stderr)


@pytest.fixture(scope='module')
def sin_red(taller, hub, hecho) -> dict:
    "Lo que se puede hacer después, con el hub cerrado y `HF_HUB_OFFLINE`."
    hub.cerrar()
    (taller / 'sin_red.py').write_text(SIN_RED, encoding='utf-8')
    r = subprocess.run(
        [sys.executable, 'sin_red.py'],
        cwd=taller,
        env=entorno(taller, hub, HF_HUB_OFFLINE='1'),
        capture_output=True,
        text=True,
        encoding='utf-8',
        timeout=600,
    )
    assert r.returncode == 0, r.stderr[-3000:]
    return json.loads((taller / 'sin_red.json').read_text()) | dict(salida=r.stdout)


@pytest.mark.skipif(not hasattr(signal, 'SIGKILL'), reason='sin SIGKILL')
def test_morir_a_mitad_no_deja_pesos(muerto):
    "Con su nombre, solo lo que llegó entero."
    assert PESOS not in muerto['archivos'] and 'config.json' in muerto['archivos'] and len(muerto['archivos']) == 7
    assert len(muerto['a_medias']) == 1


def test_despues_solo_se_baja_lo_que_faltaba(hub, muerto, hecho):
    luego = [ruta for metodo, nombre, ruta, _ in hub.pedidos[muerto['pedidos'] :] if metodo == 'GET' and nombre == CLIP]
    assert luego == [PESOS]


def test_lo_que_dejo_otro_programa_se_completa(hub, hecho):
    assert 'config.json' in hub.descargados(CLAP) and PESOS not in hub.descargados(CLAP)


def test_de_los_repositorios_solo_lo_necesario(hub, hecho):
    bajados = {n: {r for r in hub.descargados(n) if r != 'api'} for n in (CLIP, CLAP, AUDIOLDM)}
    assert {Path(r).suffix for rutas in bajados.values() for r in rutas} == {'.json', '.txt', '.safetensors'}
    assert bajados[CLIP] == {
        'config.json',
        'preprocessor_config.json',
        PESOS,
        'tokenizer.json',
        'tokenizer_config.json',
        'vocab.json',
        'merges.txt',
        'special_tokens_map.json',
    }
    assert {
        'unet/diffusion_pytorch_model.safetensors',
        'vae/config.json',
        'vocoder/model.safetensors',
        'scheduler/scheduler_config.json',
        'text_encoder/model.safetensors',
        'model_index.json',
    } <= bajados[AUDIOLDM]


def test_cada_uno_en_su_revision(taller, hub, hecho):
    estado, p = hecho['base']
    assert estado == 'bien'
    for m in PIEZAS:
        nombre, revision = getattr(PERFILES['base'], m).split('@')
        assert Path(p[m]) == carpeta_de(taller, nombre) / 'snapshots' / revision
    assert Path(p['traductor']) == carpeta_de(taller, 'pruebas/traductor') / 'snapshots' / ('a' * 40)


def test_se_avisa_de_lo_que_se_descarga(hecho):
    assert (
        'Se descargan, una sola vez, en ' in hecho['salida']
        and f'{CLIP} (0.61 GB), {CLAP} (0.62 GB), {AUDIOLDM} (1.69 GB); y 0.61 GB más' in hecho['salida']
    )
    assert '%|' in hecho['error']  # con barras


def test_suena(taller, hecho):
    for archivo in ('suena.npy', 'suena_mayor.npy'):
        muestras = np.load(taller / archivo)
        assert muestras.shape == (16_000,) and np.isfinite(muestras).all() and muestras.std() > 1e-4
    assert hecho['torres'] == [True, True]


def test_los_pasos_de_tiempo_son_los_de_diffusers(taller, hecho):
    "El planificador publicado no dice cómo se reparten (`timestep_spacing`): cada uno, a su manera."
    publicado = json.loads((taller / 'modelos' / 'audioldm' / 'scheduler' / 'scheduler_config.json').read_text())
    assert 'timestep_spacing' not in publicado
    de_999 = [999, 899, 799, 699, 599, 500, 400, 300, 200, 100]
    ddim = list(range(901, 0, -100))
    assert hecho['instantes'] == {'None': de_999, 'dpm': de_999, 'ddim': ddim, 'unipc': de_999}
    suyo = DDIMScheduler.from_config(publicado)
    for nombre, clase in PLANIFICADORES.items():
        s = clase.from_config(suyo.config)
        s.set_timesteps(10)
        assert s.timesteps.tolist() == hecho['instantes'][nombre]


def test_el_tokenizador_de_clip_no_dice_su_clase(taller, hecho):
    assert 'tokenizer_class' not in json.loads((taller / 'modelos' / 'clip' / 'tokenizer_config.json').read_text())
    assert hecho['tokenizers'] == dict(clip='CLIPTokenizer', clap='RobertaTokenizer')


def test_otro_clap_se_cambia_por_el_de_audioldm(taller, hecho):
    "El AudioLDM de `base-l` es de otro CLAP (y en varios archivos): se usa su torre de texto, y se dice."
    assert hecho['base-l'][0] == 'bien' and hecho['base-l'][1]['clip'] == hecho['base'][1]['clip']
    assert Path(hecho['base-l'][1]['clap']).parent == taller / 'casa' / '.cache' / 'img2audio'
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
    if caso not in ('nada', 'sin-pesos'):
        assert f'No se pudo obtener pruebas/{caso.split("@")[0]}' in dicho and 'hf download' in dicho


def test_lo_que_llego_corto_no_se_queda(hub, taller, hecho):
    "Y repitiendo, llega: solo esos pesos."
    assert hecho['corto otra vez'][0] == 'bien'
    assert (
        hub.descargados('pruebas/corto').count(PESOS) == 2
        and hub.descargados('pruebas/corto').count('config.json') == 1
    )
    bueno = (taller / 'modelos' / 'clip' / PESOS).read_bytes()
    assert (Path(hecho['corto otra vez'][1]['clip']) / PESOS).read_bytes() == bueno
    assert not list(carpeta_de(taller, 'pruebas/corto').rglob('*.incomplete'))


def test_si_la_conexion_se_corta_se_sigue_donde_iba(hub, taller, hecho):
    assert hecho['corte'][0] == 'bien'
    bueno = (taller / 'modelos' / 'clip' / PESOS).read_bytes()
    rangos = [
        rango
        for metodo, n, ruta, rango in hub.pedidos
        if n == 'pruebas/corte' and ruta == PESOS and metodo == 'GET' and rango
    ]
    assert len(rangos) == 1 and 0 < int(rangos[0].removeprefix('bytes=').rstrip('-')) <= len(bueno) // 2
    assert (Path(hecho['corte'][1]['clip']) / PESOS).read_bytes() == bueno


def test_sin_red_suena_lo_mismo(taller, sin_red):
    assert np.abs(np.load(taller / 'suena.npy') - np.load(taller / 'suena_sin_red.npy')).max() < 1e-3


@pytest.mark.parametrize(
    'caso, dice',
    [
        ('base-m', 'la variable HF_HUB_OFFLINE impide usar la red. Por descargar: cvssp/audioldm-m-full (2.61 GB)'),
        # por su nombre, la de los perfiles
        (
            'mezcla',
            f'No se pudo obtener cvssp/audioldm-m-full (revisión {PERFILES["base-m"].audioldm.split("@")[1][:7]})',
        ),
        ('sin hub', 'no está en la caché, y no hay red. Por descargar: cvssp/audioldm-m-full (2.61 GB)'),
        ('dañado', 'está cortado o dañado: bórrelo y vuelva a obtenerlo'),
    ],
)
def test_sin_red_se_dice_que_falta(sin_red, caso, dice):
    assert isinstance(sin_red[caso], str) and dice in sin_red[caso]


def test_sin_hub_se_dice_pronto_y_solo_eso(sin_red):
    "Sin el medio minuto de reintentos de `huggingface_hub`, ni sus once renglones en inglés."
    tarda, dicho = sin_red['sin hub, y además']
    assert tarda < 5 and dicho == ''


@pytest.fixture
def otro_hub(taller, tmp_path, monkeypatch):
    "Un hub con un solo modelo, `pruebas/clip`, y una caché vacía; en este mismo proceso."
    h = Hub()
    h.publicar('pruebas/clip', taller / 'modelos' / 'clip', 'c' * 40)
    suyo = dict(ENDPOINT=h.url, HUGGINGFACE_CO_URL_TEMPLATE=h.url + '/{repo_id}/resolve/{revision}/{filename}')
    for variable, valor in (suyo | dict(HF_HUB_CACHE=str(tmp_path / 'hub'), HF_HUB_OFFLINE=False)).items():
        monkeypatch.setattr(constants, variable, valor)
    close_session()
    yield h
    h.cerrar()
    close_session()


def no_se_baja() -> str:
    "Lo que se dice al no poder traer `pruebas/clip`; antes de cinco segundos, y sin nada más en la consola."
    inicio = time.monotonic()
    with pytest.raises(ModeloNoDisponible) as e:
        _traer(dict(clip='pruebas/clip@' + 'c' * 40))
    assert time.monotonic() - inicio < 5
    return str(e.value)


@pytest.mark.parametrize(
    'fallo, dice',
    [
        (
            RuntimeError('Data processing error: CAS service error : ReqwestMiddleware Error'),
            'ha fallado Xet, .*CAS service error.* HF_HUB_DISABLE_XET=1',
        ),
        (
            RuntimeError('Data processing error: I/O error: No space left on device (os error 28)'),
            'no cabe en el disco',
        ),
    ],
)
def test_xet_que_falla(otro_hub, monkeypatch, fallo, dice):
    "hf-xet lanza `RuntimeError`, que no es un error de red (xet-core 394 y 444; huggingface_hub 3440)."
    otro_hub.averias['pruebas/clip'] = {PESOS: 'xet'}

    def xet_get(**_):
        raise fallo

    monkeypatch.setattr('huggingface_hub.file_download.xet_get', xet_get)
    monkeypatch.setattr('huggingface_hub.file_download.is_xet_available', lambda: True)
    assert re.search(dice, no_se_baja())


@pytest.fixture(scope='module')
def certificado(crear_certificado) -> Path:
    "Un certificado de `localhost` del que nadie responde."
    return crear_certificado('localhost')


def test_certificado_que_no_vale(otro_hub, monkeypatch, certificado, capfd):
    "No es que no haya red."
    contexto = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    contexto.load_cert_chain(certificado / 'cert.pem', certificado / 'clave.pem')
    otro_hub.servidor.socket = contexto.wrap_socket(otro_hub.servidor.socket, server_side=True)
    monkeypatch.setattr(constants, 'ENDPOINT', f'https://localhost:{otro_hub.servidor.server_port}')
    dicho = no_se_baja()
    assert 'no se fía del certificado' in dicho and 'SSL_CERT_FILE' in dicho and 'no hay red' not in dicho
    assert capfd.readouterr().err == ''


def test_proxy_que_no_lleva_al_hub(otro_hub, monkeypatch, capfd):
    "Ni el que no está, ni el que dice que no."
    for v in ('no_proxy', 'NO_PROXY', 'all_proxy', 'ALL_PROXY'):
        monkeypatch.delenv(v, raising=False)
    monkeypatch.setattr(constants, 'ENDPOINT', 'https://huggingface.example')
    for puerto in (9, otro_hub.servidor.server_port):
        for v in ('https_proxy', 'HTTPS_PROXY'):
            monkeypatch.setenv(v, f'http://127.0.0.1:{puerto}')
        close_session()
        dicho = no_se_baja()
        assert 'el proxy de este equipo no lleva al hub' in dicho and 'no hay red' not in dicho
    assert capfd.readouterr().err == ''


def test_el_hub_que_no_contesta(otro_hub, monkeypatch):
    "Acepta la conexión, y nada más."
    with socket.create_server(('127.0.0.1', 0)) as mudo:
        monkeypatch.setattr(constants, 'ENDPOINT', f'http://127.0.0.1:{mudo.getsockname()[1]}')
        assert 'no hay red' in no_se_baja()


def test_se_dice_como_bajarlo_todo_desde_otro_equipo(otro_hub):
    "Una orden por modelo, con lo que se baja y nada más: son tres veces menos."
    otro_hub.cerrar()
    faltan = {m: getattr(PERFILES['base'], m) for m in PIEZAS}
    with pytest.raises(ModeloNoDisponible) as e:
        _traer(faltan)
    ordenes = re.findall('«(hf download .*?)»', str(e.value))
    lleva = ' '.join(f'--include "{a}"' for a in ('*.json', '*.txt', '*.safetensors'))
    assert ordenes == [f'hf download {m} --revision {r} {lleva}' for m, r in (f.split('@') for f in faltan.values())]
    assert '0.61 GB más, de disco y de memoria, si hay que unir el CLAP' in str(e.value)


def test_los_restos_se_recogen(taller, hub, sin_red):
    "Lo que dejó a medias el que murió, con la orden que dice el cuaderno."
    d = carpeta_de(taller, CLIP) / 'blobs'
    assert len(list(d.glob('*.incomplete'))) == 1
    r = subprocess.run(
        [Path(sys.executable).with_name('hf'), 'cache', 'prune', '--yes'],
        env=entorno(taller, hub),
        capture_output=True,
        text=True,
    )
    assert r.returncode == 0, r.stderr
    assert not list(d.glob('*.incomplete'))


def test_orden(taller, sin_red, capsys):
    "`python -m img2audio.puertas.base`: el modelo al azar, y un error en español con estado 2."
    from img2audio.puertas.base import principal_base as principal

    assert '--perfil azar' in sin_red['salida']
    assert sorted(f.name for f in (taller / 'azar').iterdir()) == ['audioldm', 'clap', 'clip', 'traductor']
    with pytest.raises(SystemExit, match='2'):
        principal('aleatorio', str(taller / 'azar'), tamano='diminuto')
    assert capsys.readouterr().err.startswith(f'img2audio.puertas.base: «{taller}/azar» ya existe')


def test_orden_del_traductor_llano(monkeypatch, tmp_path):
    "`traductor --racimos 0` lo pide sin memoria; sin decir nada, 512."
    from img2audio.puertas import base

    pedidos, p = [], Perfil('prueba', *(str(tmp_path / m) for m in (*PIEZAS, 'traductor')))
    monkeypatch.setattr(base, 'cargar_perfil', lambda _: p)
    monkeypatch.setattr(base, 'entrenar_traductor_de', lambda p, racimos: pedidos.append(racimos))
    base.principal_base('traductor')
    base.principal_base('traductor', racimos=0)
    assert pedidos == [512, 0]

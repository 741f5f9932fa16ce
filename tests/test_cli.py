"La orden `img2audio`, por fuera: errores en español con estado 2, y sonidos que se pueden abrir."

import csv
import functools
import http.server
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

ORDEN = Path(sys.executable).with_name('img2audio')
ORDEN = [str(ORDEN)] if ORDEN.exists() else [sys.executable, '-m', 'img2audio']
ENTORNO = {
    **os.environ,
    'HF_HUB_OFFLINE': '1',
    'PYTHONUTF8': '1',
    'OMP_NUM_THREADS': '1',
    'NO_PROXY': '127.0.0.1',
    'no_proxy': '127.0.0.1',
}
CORTO = ['--segundos', '1', '--pasos', '2']

# Importar los modelos cuesta segundos: un solo proceso atiende muchas órdenes, cada una con sus argumentos.
# Recibe {nombre: argumentos} y devuelve {nombre: [estado, salida, error]}.
TANDA = '''
import contextlib, io, json, sys, traceback
from img2audio.puertas.orden import principal

hecho = {}
for nombre, args in json.load(open('casos.json', encoding='utf-8')).items():
    sys.argv, estado = ['img2audio', *args], 0
    with contextlib.redirect_stdout(io.StringIO()) as salida, contextlib.redirect_stderr(io.StringIO()) as error:
        try: principal()
        except SystemExit as e: estado = e.code or 0
        except BaseException: estado = 1; traceback.print_exc()
    hecho[nombre] = [estado, salida.getvalue(), error.getvalue()]
    if nombre == 'primero': hecho['modulos'] = sorted({m.partition('.')[0] for m in sys.modules})
json.dump(hecho, open('hecho.json', 'w', encoding='utf-8'))
'''

ERRORES = {  # nombre: (argumentos, lo que debe decir)
    'no_existe': (['no_existe.png'], 'No existe el archivo «no_existe.png»'),
    'no_es_imagen': (['nota.png'], 'No se pudo abrir «nota.png» como imagen'),
    'url_que_no_responde': (
        ['http://127.0.0.1:9/x.png', '--permitir_red_local'],
        'No se pudo leer http://127.0.0.1:9/x.png',
    ),
    'url_de_casa': (['URL/lluvia_dibujada.png'], 'permitir_red_local'),
    'url_que_no_existe': (['URL/no_existe.png', '--permitir_red_local'], 'No se pudo leer'),
    'url_que_no_es_imagen': (['URL/nota.png', '--permitir_red_local'], 'como imagen'),
    'perfil': (['🌧', '--perfil', 'grande'], 'No hay ningún perfil «grande»; los hay: mini, base'),
    'duracion': (['🌧', '--segundos', '-1'], 'La duración debe estar entre 0 y 60 s, y se pidió -1'),
    'pasos': (['🌧', '--pasos', '0'], 'Los pasos deben estar entre 1 y 1000'),
    'extension': (['🌧', '-o', 'sonido.midi'], 'No sé escribir «sonido.midi»; use una extensión de wav, flac, ogg, mp3'),
    'nada': ([], 'Diga qué sonorizar'),
    'negativo': (
        ['🌧', '--negativo', 'un perro ladra', '--guia', '1'],
        'El texto negativo actúa a través de la guía: pida una mayor que 1 (se pidió 1',
    ),
    'con_coma': (['🌧', '--segundos', '5,12'], 'los decimales van con punto: 5.12'),
    'en_blanco': (['--texto', '  '], 'El texto está en blanco'),
    'salida_imposible': (['🌧', '-o', 'nota.png/x.wav'], '«nota.png/x.wav»: pasa por algo que no es una carpeta'),
    'elegir': (['🌧', '--elegir', '0'], 'Se pueden pedir entre 1 y 100 sonidos, y se pidieron 0'),
    'varias_sin_pesos': (['🌧', '🐓'], '--pesos 1,1'),
    'pesos': (['🌧', '🐓', '--pesos', '1,mucho'], 'números separados por comas'),
    'un_peso_de_menos': (['🌧', '🐓', '--pesos', '1'], 'un peso por imagen'),
    'num_audios': (['🌧', '--num_audios', '0'], 'num_audios debe ser al menos 1'),
    'dispositivo': (['🌧', '--dispositivo', 'gpu'], 'no se puede usar el dispositivo «gpu»'),
    'dtype': (['🌧', '--dtype', 'int8'], 'float32, bfloat16 o float16'),
    'sonido_que_no_existe': (['🌧', '--sonido', 'no_existe.wav'], 'No existe el archivo «no_existe.wav»'),
    'lote_que_no_existe': (['--lote', 'no_hay_carpeta'], 'No existe la carpeta «no_hay_carpeta»'),
    'lote_y_algo_mas': (['🌧', '--lote', 'fotos', '--motor', 'audioldm'], 'no se junta con: imagen, motor'),
    'lote_con_todas_mal': (
        ['--lote', 'malas', '-o', 'de_malas', *CORTO],
        'Ninguna de las 1 imágenes de «malas» se pudo sonorizar',
    ),
    'motor_con_texto': (
        ['🌧', '--texto', 'lluvia', '--motor', 'audioldm', '--checkpoint', 'x.ckpt'],
        'El motor audioldm no admite texto',
    ),
    'motor_sin_pesos': (['🌧', '--motor', 'audioldm'], 'necesita su archivo de pesos'),
    'checkpoint_sin_motor': (['🌧', '--checkpoint', 'x.ckpt'], 'es el archivo de pesos del motor audioldm'),
}
ACIERTOS = {
    'repetido': ['🌧', '-o', 'repetido.wav', *CORTO],
    'otra_semilla': ['🌧', '-o', 'otra_semilla.wav', '--semilla', '1', *CORTO],
    'texto': ['--texto', 'lluvia sobre un tejado', '-o', 'texto.wav', *CORTO],
    'ruta': ['lluvia_dibujada.png', '-o', 'nueva/ruta.flac', *CORTO],
    'url': ['URL/lluvia_dibujada.png', '-o', 'url.wav', '--permitir_red_local', *CORTO],
    'guiado': ['🌧', '-o', 'guiado.wav', '--guia', '3', *CORTO],
    'negativo_bien': ['🌧', '-o', 'negativo.wav', '--guia', '3', '--negativo', 'cae la lluvia', *CORTO],
    'elegir_bien': ['🌧', '-o', 'elegido.wav', '--elegir', '2', *CORTO],
    'media': ['🌧', 'lluvia_dibujada.png', '--pesos', '0.7,0.3', '-o', 'media.wav', *CORTO],
    'rehecho': ['--texto', 'cae la lluvia', '--sonido', 'dado.wav', '--fuerza', '0.6', '-o', 'rehecho.wav', *CORTO],
    'ajeno': ['--texto', '雨が降る', '-o', 'ajeno.wav', *CORTO],
    'en_mayusculas': ['--texto', '¡LLUVIA SOBRE UN TEJADO!', '-o', 'mayusculas.wav', *CORTO],
    'ddim': ['🌧', '--planificador', 'ddim', '--dtype', 'bfloat16', '-o', 'ddim.wav', *CORTO],
}
VARIOS = {  # nombre: (argumentos, estado): más de un archivo
    'dos': (['🌧', '--num_audios', '2', '-o', 'dos.wav', *CORTO], 0),
    'rehechos': (
        [
            '--texto',
            'cae la lluvia',
            '--sonido',
            'dado.wav',
            '--fuerza',
            '0.6',
            '--num_audios',
            '2',
            '-o',
            'rehechos.wav',
            *CORTO,
        ],
        0,
    ),
    'lote': (['--lote', 'fotos', '-o', 'de_fotos', *CORTO], 1),
}


@pytest.fixture(scope='module')
def taller(tmp_path_factory) -> Path:
    "Carpeta de trabajo, con una imagen y algo que no lo es."
    from img2audio.comun.imagenes import abrir_imagen

    d = tmp_path_factory.mktemp('taller')
    abrir_imagen('🌧').save(d / 'lluvia_dibujada.png')
    (d / 'nota.png').write_text('no soy una imagen', encoding='utf-8')
    (d / 'fotos').mkdir()
    (d / 'malas').mkdir()
    for f in ('lluvia.png', 'otra lluvia.jpg'):
        abrir_imagen('🌧').save(d / 'fotos' / f)
    for c in ('fotos', 'malas'):
        (d / c / 'mala.png').write_text('no soy una imagen', encoding='utf-8')
    soundfile.write(d / 'dado.wav', np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32), 16_000)
    return d


@pytest.fixture(scope='module')
def servidor(taller):
    "La carpeta de trabajo, servida por HTTP en esta máquina."

    class Callado(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Callado, directory=str(taller))) as s:
        threading.Thread(target=s.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{s.server_port}'
        s.shutdown()


@pytest.fixture(scope='module')
def hecho(taller, servidor) -> dict:
    """`{nombre: (estado, salida, error)}` de todo lo que se ejecuta, a la vez:
    la orden de verdad (un acierto y un error) y la tanda."""
    casos = dict(primero=['🌧', '-o', 'primero.wav', *CORTO])
    casos |= {n: args for n, (args, _) in [*ERRORES.items(), *VARIOS.items()]} | ACIERTOS
    casos = {n: [a.replace('URL', servidor) for a in args] for n, args in casos.items()}
    (taller / 'casos.json').write_text(json.dumps(casos), encoding='utf-8')
    (taller / 'tanda.py').write_text(TANDA, encoding='utf-8')

    def lanzar(*args):
        return subprocess.Popen(
            args, cwd=taller, env=ENTORNO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding='utf-8'
        )

    procesos = dict(
        tanda=lanzar(sys.executable, 'tanda.py'),
        orden_mal=lanzar(*ORDEN, 'no_existe.png'),
        orden=lanzar(*ORDEN, '🌧', '-o', 'lluvia.wav', '--lamina', 'lluvia.png', *CORTO),
    )
    try:
        salidas = {n: (*p.communicate(timeout=900), p.returncode) for n, p in procesos.items()}
    finally:
        for p in procesos.values():
            p.kill()
    assert salidas['tanda'][2] == 0, salidas['tanda'][1]
    reales = {n: (estado, salida, error) for n, (salida, error, estado) in salidas.items() if n != 'tanda'}
    return reales | json.loads((taller / 'hecho.json').read_text(encoding='utf-8'))


def comprobar_error(estado: int, error: str, dice: str) -> None:
    assert estado == 2, error
    assert 'Traceback' not in error
    ultima = error.strip().splitlines()[-1]
    assert ultima.startswith('img2audio: ') and dice in ultima


def leer(archivo: Path) -> np.ndarray:
    "Las muestras de un sonido, que debe ser mono, de 16 kHz, de 1 s y no estar en silencio."
    info = soundfile.info(archivo)
    assert (info.samplerate, info.channels, info.frames) == (16_000, 1, 16_000)
    muestras, _ = soundfile.read(archivo)
    assert muestras.std() > 1e-3
    return muestras


def test_varios_sonidos(hecho, taller):
    "Con semillas seguidas: el 0 y el 1, que ya se han generado sueltos."
    assert hecho['dos'][0] == 0, hecho['dos'][2]
    for i, suelto in enumerate(('repetido.wav', 'otra_semilla.wav')):
        assert np.abs(leer(taller / f'dos-{i + 1}.wav') - leer(taller / suelto)).max() < 1e-3


def test_lote(hecho, taller):
    "Un WAV por imagen y una fila por imagen; la que falla no detiene a las demás, y se sabe por el estado."
    estado, salida, error = hecho['lote']
    assert estado == 1 and 'Traceback' not in error and 'sonorizadas: 2; fallos: 1' in salida
    assert sorted(f.name for f in (taller / 'de_fotos').iterdir()) == [
        'lluvia.wav',
        'otra lluvia.wav',
        'resultados.csv',
    ]
    with open(taller / 'de_fotos' / 'resultados.csv', encoding='utf-8', newline='') as f:
        filas = {r['imagen']: r for r in csv.DictReader(f)}
    assert (
        list(filas) == ['lluvia.png', 'mala.png', 'otra lluvia.jpg']
        and 'como imagen' in filas['mala.png']['error']
        and not filas['mala.png']['sonido']
    )
    assert (
        filas['lluvia.png']['sonido'] == 'lluvia.wav'
        and filas['lluvia.png']['semilla'] == '0'
        and filas['lluvia.png']['suena a']
        and not filas['lluvia.png']['error']
    )
    assert np.abs(leer(taller / 'de_fotos' / 'lluvia.wav') - leer(taller / 'lluvia.wav')).max() < 1e-3
    leer(taller / 'de_fotos' / 'otra lluvia.wav')


def test_la_media_de_dos_imagenes_iguales_es_la_imagen(hecho, taller):
    assert np.abs(leer(taller / 'media.wav') - leer(taller / 'lluvia.wav')).max() < 1e-3


def test_la_orden_sonoriza(hecho, taller):
    estado, salida, error = hecho['orden']
    assert estado == 0, error
    assert 'lluvia.wav: 1.00 s. Suena a: ' in salida and 'lluvia.png' in salida
    leer(taller / 'lluvia.wav')
    with Image.open(taller / 'lluvia.png') as im:
        im.load()
        assert im.format == 'PNG' and min(im.size) > 200


def test_la_orden_falla_bien(hecho):
    estado, salida, error = hecho['orden_mal']
    assert not salida
    comprobar_error(estado, error, 'No existe el archivo «no_existe.png»')


def test_un_sonido_importa_lo_justo(hecho, taller):
    "Lo que tarda en importarse y un sonido no necesita, no se importa."
    assert hecho['primero'][0] == 0, hecho['primero'][2]
    leer(taller / 'primero.wav')
    sobran = 'datasets pandas pyarrow sklearn librosa numba matplotlib IPython torchvision tensorflow'.split()
    assert {'torch', 'diffusers', 'transformers'} <= set(hecho['modulos'])
    assert not set(sobran) & set(hecho['modulos'])


@pytest.mark.parametrize('nombre', ERRORES)
def test_error(hecho, nombre):
    estado, salida, error = hecho[nombre]
    assert not salida
    comprobar_error(estado, error, ERRORES[nombre][1])


@pytest.mark.parametrize('nombre', ACIERTOS)
def test_acierto(hecho, taller, nombre):
    estado, salida, error = hecho[nombre]
    assert estado == 0, error
    args = ACIERTOS[nombre]
    leer(taller / args[args.index('-o') + 1])


def test_misma_semilla_mismos_bytes(hecho, taller):
    "Y en otro proceso."
    assert (taller / 'lluvia.wav').read_bytes() == (taller / 'repetido.wav').read_bytes()


def test_otra_semilla_otro_sonido(hecho, taller):
    a, b = leer(taller / 'lluvia.wav'), leer(taller / 'otra_semilla.wav')
    assert np.abs(a - b).max() > 0.1 * np.abs(a).max()


def test_el_texto_da_igual_en_mayusculas(hecho, taller):
    assert np.abs(leer(taller / 'mayusculas.wav') - leer(taller / 'texto.wav')).max() < 1e-3


def test_varios_de_un_sonido(hecho, taller):
    assert hecho['rehechos'][0] == 0, hecho['rehechos'][2]
    assert np.abs(leer(taller / 'rehechos-1.wav') - leer(taller / 'rehecho.wav')).max() < 1e-3
    assert np.abs(leer(taller / 'rehechos-2.wav') - leer(taller / 'rehechos-1.wav')).max() > 0.01


def test_el_aviso_de_un_texto(hecho):
    assert 'aviso: Este perfil apenas sabe leer' in hecho['ajeno'][2]


def test_el_texto_negativo_cambia_el_sonido(hecho, taller):
    a, b = leer(taller / 'guiado.wav'), leer(taller / 'negativo.wav')
    assert np.abs(a - b).max() > 0.1 * np.abs(a).max()


def test_elegir_dice_la_semilla_que_lo_repite(hecho, taller):
    "Entre las semillas 0 y 1, que ya se han generado sueltas."
    salida = hecho['elegir_bien'][1]
    semilla = re.search(r'elegido entre 2; se repite solo con --semilla ([01])', salida)[1]
    suelto = leer(taller / ('repetido.wav' if semilla == '0' else 'otra_semilla.wav'))
    assert np.abs(leer(taller / 'elegido.wav') - suelto).max() < 1e-3


def test_da_igual_de_donde_venga_la_imagen(hecho, taller):
    "Emoji, ruta (FLAC) y URL: las mismas muestras."
    for otra in ('nueva/ruta.flac', 'url.wav'):
        assert np.abs(leer(taller / 'lluvia.wav') - leer(taller / otra)).max() < 1e-3


def test_lo_que_falla_no_deja_restos(hecho, taller):
    dejado = {
        f.relative_to(taller).as_posix() for f in taller.rglob('*') if f.is_file() and f.suffix not in ('.json', '.py')
    }
    assert dejado == {
        'lluvia_dibujada.png',
        'nota.png',
        'primero.wav',
        'lluvia.wav',
        'lluvia.png',
        'repetido.wav',
        'otra_semilla.wav',
        'texto.wav',
        'nueva/ruta.flac',
        'url.wav',
        'guiado.wav',
        'negativo.wav',
        'elegido.wav',
        'media.wav',
        'rehecho.wav',
        'rehechos-1.wav',
        'rehechos-2.wav',
        'ajeno.wav',
        'mayusculas.wav',
        'ddim.wav',
        'dado.wav',
        'dos-1.wav',
        'dos-2.wav',
        'fotos/lluvia.png',
        'fotos/otra lluvia.jpg',
        'fotos/mala.png',
        'malas/mala.png',
        'de_malas/resultados.csv',
        'de_fotos/lluvia.wav',
        'de_fotos/otra lluvia.wav',
        'de_fotos/resultados.csv',
    }

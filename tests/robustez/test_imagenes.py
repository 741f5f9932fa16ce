"""`abrir_imagen` ante lo que no debe abrir: siempre una imagen RGB o un error documentado, en español;
nunca una imagen falsa."""

import io
import json
import os
import random
import re
import struct
import subprocess
import sys
import time
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from imagenes import bmp, dibujo, estropear, exif, guardar, jpeg_de_barridos, png, sanas, tiff, trozo_png
from PIL import Image

from img2audio import base_de_datos as bd
from img2audio.comun import imagenes
from img2audio.comun.imagenes import ImagenInvalida, abrir_imagen

SANAS = sanas()
CORTES, DAÑOS, INVENTADAS = 45, 110, 300  # de cada imagen sana; de cada imagen sana; de cada prueba de hypothesis
MIB = 2**20
DOCUMENTADO = re.compile(
    'No se pudo (abrir|leer) |No hay (dibujo|permiso) |La fuente del sistema no tiene dibujo |'
    '«.*» (no es un archivo|pesa más)',
    re.DOTALL,
)
propiedad = settings(
    max_examples=INVENTADAS, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)


def abrir(fuente) -> np.ndarray | None:
    "Los píxeles, o `None` si se negó a abrirla como debe. Cualquier otra cosa es un fallo de la prueba."
    inicio = time.thread_time()
    try:
        imagen = abrir_imagen(fuente)
    except ImagenInvalida as e:
        assert type(e) is ImagenInvalida and DOCUMENTADO.match(str(e)) and len(str(e)) < 500
        imagen = None
    assert time.thread_time() - inicio < 2
    if imagen is None:
        return None
    assert imagen.mode == 'RGB' and 0 < imagen.width * imagen.height <= imagenes.MAX_PIXELES
    return np.asarray(imagen)


@pytest.fixture(autouse=True)
def sin_avisos():
    "Ningún aviso de Pillow llega a quien usa el programa."
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        yield


@pytest.mark.parametrize('nombre', SANAS)
def test_las_sanas_se_abren_bien(nombre, apuntar):
    "Contra Pillow en los modos de 8 bits; contra los números, en los de 16; y derechas."
    vista, modo = abrir(SANAS[nombre]), nombre.split('-')[-1]
    if modo == 'I;16':
        debe = np.repeat((np.asarray(dibujo('I;16')) >> 8)[..., None], 3, 2)
    else:
        imagen = Image.open(io.BytesIO(SANAS[nombre]))
        if modo == 'exif':
            imagen = imagen.transpose(
                {'png': Image.ROTATE_270, 'jpeg': Image.ROTATE_90, 'webp': Image.ROTATE_180}[nombre.split('-')[0]]
            )
        imagen = imagen.convert('RGBA')
        fondo = Image.new('RGBA', imagen.size, 'white')
        debe = np.asarray(Image.alpha_composite(fondo, imagen).convert('RGB'))
    assert np.array_equal(vista, debe)
    if 'animado' in nombre or 'páginas' in nombre:
        assert np.abs(vista.astype(int) - np.asarray(dibujo())).mean() < 12  # el primer fotograma
    apuntar()


@pytest.mark.parametrize('nombre', SANAS)
def test_cortada_no_se_abre_a_medias(nombre, apuntar):
    "Cortada por donde sea, o no se abre o se ve entera: nunca con un trozo en gris."
    datos, entera = SANAS[nombre], abrir(SANAS[nombre])
    for k in np.linspace(0, len(datos) - 1, CORTES).astype(int):
        vista = abrir(datos[:k])
        assert vista is None or np.array_equal(vista, entera), f'{nombre}, cortada a {k} de {len(datos)} bytes'
        apuntar()


@pytest.mark.parametrize('nombre', SANAS)
def test_estropeada(nombre, apuntar):
    "Con daños al azar (semilla fija). Un PNG lleva sumas: o se abre igual, o no se abre."
    azar, entera, abiertas = random.Random(f'img2audio {nombre}'), abrir(SANAS[nombre]), 0
    for _ in range(DAÑOS):
        datos = estropear(SANAS[nombre], azar, list(SANAS.values()))
        vista = abrir(datos)
        if nombre.startswith('png') and vista is not None:
            assert np.array_equal(vista, entera)
        abiertas += vista is not None
        apuntar()
    assert abiertas < DAÑOS


@given(st.sampled_from([d[:n] for d in SANAS.values() for n in (4, 12, 30, 60)]), st.binary(max_size=400))
@propiedad
def _cabecera_y_basura(cabecera, basura):
    abrir(cabecera + basura)


@given(st.binary(max_size=300))
@propiedad
def _bytes(datos):
    abrir(datos)


@given(st.text(max_size=30))
@propiedad
def _texto(texto):
    "Una ruta, un emoji, o nada de eso."
    try:
        abrir(texto)
    except FileNotFoundError as e:
        assert str(e).startswith('No existe el archivo «')


@given(
    st.sampled_from(['JPEG', 'PNG', 'WEBP']),
    st.sampled_from([b'', exif(6)[:20], exif(6)[:-6]]),
    st.binary(max_size=200),
)
@propiedad
def _exif_de_basura(formato, principio, basura):
    abrir(guardar(dibujo(), formato, exif=b'Exif\0\0' + (principio + basura).removeprefix(b'Exif\0\0')))


@given(
    st.lists(
        st.tuples(st.integers(0, 65535), st.integers(0, 14), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
        max_size=12,
    )
)
@propiedad
def _tiff_de_etiquetas(etiquetas):
    sana = tiff({279: 64}, bytes(64))
    n = struct.unpack('<H', sana[8:10])[0]
    abrir(
        sana[:8]
        + struct.pack('<H', n + len(etiquetas))
        + sana[10 : 10 + 12 * n]
        + b''.join(struct.pack('<HHII', *e) for e in etiquetas)
        + sana[10 + 12 * n :]
    )


@pytest.mark.parametrize(
    'prueba', [_cabecera_y_basura, _bytes, _texto, _exif_de_basura, _tiff_de_etiquetas], ids=lambda f: f.__name__
)
def test_inventada(prueba, apuntar, monkeypatch):
    "Las que se le ocurren a hypothesis, siempre las mismas."
    veces, de_verdad = 0, imagenes.abrir_imagen

    def contada(*args):
        nonlocal veces
        veces += 1
        return de_verdad(*args)

    monkeypatch.setitem(globals(), 'abrir_imagen', contada)
    prueba()
    apuntar(veces)
    assert veces >= 100


def bombas() -> dict[str, bytes]:
    "Archivos pequeños, o no tanto, que piden mucha memoria o mucho tiempo. Ninguno se puede abrir."
    mucho, jpeg, gif = 4 * MIB, SANAS['jpeg'], SANAS['gif']
    coma, png_sano = gif.index(b',', 13), SANAS['png-RGB']

    def lienzo(n):
        return SANAS['webp-animado'][:24] + 2 * struct.pack('<I', n - 1)[:3] + SANAS['webp-animado'][30:]

    grande = bytearray(jpeg)
    i = jpeg.index(b'\xff\xc0')
    grande[i + 5 : i + 9] = b'\xff\xdc\xff\xdc'  # 65500 × 65500
    z = zlib.compressobj(9)
    giga = b''.join([z.compress(bytes(MIB)) for _ in range(256)] + [z.flush()])
    return {
        'png de 100000 × 100000': png(100_000, 100_000, idat=zlib.compress(b'')),
        'png de 2³¹ - 1': png(2**31 - 1, 2**31 - 1, idat=b''),
        'png de 9000 × 9000': png(9000, 9000),
        'png de 13000 × 13000': png(13_000, 13_000, idat=zlib.compress(b'')),  # Pillow solo avisaría
        'gif de 65535 × 65535': gif[:6] + b'\xff\xff\xff\xff' + gif[10:],
        'gif con marco enorme': gif[: coma + 5] + b'\xff\xff\xff\xff' + gif[coma + 9 :],
        'bmp de 2³¹ - 1': bmp(2**31 - 1, 1, 0, b''),
        'bmp de 40000 × 40000': bmp(40_000, 40_000, 1, b'\0\1'),
        'jpeg de 65500 × 65500': bytes(grande),
        'webp de 16383 × 16383': lienzo(16_383),
        'webp de 12000 × 12000': lienzo(12_000),
        'tiff de 60000 × 60000': tiff({256: 60_000, 257: 60_000, 279: 64}, bytes(64)),
        'tiff con tesela de 256 MiB': tiff({259: 8, 322: 16384, 323: 16384, 325: len(giga)}, giga),
        'png de trozos vacíos': png(8, 8, trozo_png(b'aaAa') * (30 * MIB // 12)),
        'png de textos': png(8, 8, trozo_png(b'tEXt', b'a\0') * (mucho // 14)),
        'png de datos vacíos': png_sano[:33] + trozo_png(b'IDAT') * (mucho // 12) + png_sano[33:],
        'jpeg de comentarios vacíos': jpeg[:2] + b'\xff\xfe\0\2' * (mucho // 4) + jpeg[2:],
        'jpeg de relleno': jpeg[:2] + b'\xff' * mucho + jpeg[2:],
        'jpeg de mil barridos': jpeg_de_barridos(5000, 5000, 1000),
        'gif de extensiones vacías': gif[:coma] + b'!\1\0' * (mucho // 3) + gif[coma:],
        'gif de comentarios de una letra': gif[:coma] + b'!\xfe' + b'\1a' * (mucho // 2) + b'\0' + gif[coma:],
        'gif de ceros': gif[:coma] + bytes(mucho) + gif[coma:],
        'bmp de tramos de un píxel': bmp(5000, 5000, 1, b'\1\5' * (mucho // 2)),
        'bmp de saltos': bmp(5000, 5000, 1, b'\0\2\0\0' * (mucho // 4)),
        'cien megas': bytes(100 * MIB),
        'cien megas de png': png(8, 8, trozo_png(b'aaAa', bytes(100 * MIB))),
    }


# Las más grandes que se abren, y las bombas: cada una en un proceso que no puede pedir
# más de 512 MiB sobre lo que ocupa al empezar.
LIMITADO = '''
import json, os, resource, sys, time
from pathlib import Path
from img2audio.comun.imagenes import ImagenInvalida, abrir_imagen

def probar(f):
    ocupa = int(Path('/proc/self/statm').read_text().split()[0])*resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (ocupa + 512*2**20,)*2)
    try: bytearray(513*2**20); sys.exit('el límite no limita')
    except MemoryError: pass
    inicio = time.process_time()
    try: r = list(abrir_imagen(f).size)
    except ImagenInvalida as e: r = str(e)
    f.with_suffix('.json').write_text(json.dumps([time.process_time() - inicio, r]))

for f in sorted(Path('.').glob('*.bin')):
    if (hijo := os.fork()) == 0:
        try: probar(f); os._exit(0)
        finally: os._exit(1)
    if os.waitpid(hijo, 0)[1]: sys.exit(f'{f} acabó mal')
'''


@pytest.mark.skipif(not Path('/proc/self/statm').exists(), reason='mide la memoria en /proc')
def test_dos_segundos_y_512_mib(tmp_path, apuntar):
    cuadrada, malas = (5000, 5000), bombas()
    mayores = {  # nombre: (bytes, lados con que se abre)
        'png de 25 Mpx': (png(*cuadrada), cuadrada),
        'gif de 25 Mpx': (guardar(Image.new('P', cuadrada), 'GIF'), cuadrada),
        'png de 16 bits y 25 Mpx': (
            guardar(Image.fromarray(np.zeros(cuadrada, np.uint16)), 'PNG', compress_level=1),
            cuadrada,
        ),
        'png con alfa de 25 Mpx': (
            guardar(Image.new('RGBA', cuadrada, (9, 9, 9, 9)), 'PNG', compress_level=1),
            cuadrada,
        ),
        'webp de 25 Mpx': (
            guardar(Image.new('RGBA', cuadrada, (9, 200, 9, 99)), 'WEBP', lossless=True, quality=0, method=0),
            cuadrada,
        ),
        'tiff de 25 Mpx': (guardar(Image.new('RGB', cuadrada), 'TIFF', compression='tiff_lzw'), cuadrada),
        'jpeg de 25 Mpx, girado': (guardar(Image.new('RGB', (6250, 4000)), 'JPEG', exif=exif(6)), (4000, 6250)),
        'jpeg de 91 barridos': (jpeg_de_barridos(*cuadrada, 90), cuadrada),
        'jpeg progresivo de 49 Mpx, a la mitad': (
            guardar(Image.new('CMYK', (7000, 7000)), 'JPEG', progressive=True),
            (3500, 3500),
        ),
        'png con perfil inflado': (
            png(8, 8, trozo_png(b'iCCP', b'a\0\0' + zlib.compress(bytes(64 * MIB)))),
            (8, 8),
        ),  # se abre sin él
        'png con textos inflados': (png(8, 8, trozo_png(b'zTXt', b'a\0\0' + zlib.compress(bytes(MIB))) * 5000), (8, 8)),
        'jpeg de 200 Mpx, al cuarto': (guardar(Image.new('L', (16_320, 12_240)), 'JPEG'), (4080, 3060)),
        'png de 50000 × 1': (png(50_000, 1), (50_000, 1)),
        'png de 1 × 50000': (png(1, 50_000), (1, 50_000)),
    }
    for i, d in enumerate([*malas.values(), *(d for d, _ in mayores.values())]):
        (tmp_path / f'{i:03}.bin').write_bytes(d)
    entorno = {
        **os.environ,
        'HF_HUB_OFFLINE': '1',
        'OMP_NUM_THREADS': '1',
        'PYTHONPATH': str(Path(bd.__file__).parents[1]),
    }
    p = subprocess.run(
        [sys.executable, '-W', 'error::Warning:PIL', '-c', LIMITADO],
        cwd=tmp_path,
        env=entorno,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert p.returncode == 0 and 'Traceback' not in p.stderr, p.stderr[-2000:]
    for i, nombre in enumerate([*malas, *mayores]):
        segundos, r = json.loads((tmp_path / f'{i:03}.json').read_text())
        assert segundos < 2, f'{nombre}: {segundos:.1f} s'
        if nombre in malas:
            assert re.search('demasiad|pesa más|too large|Too much|could not create decoder', r), f'{nombre}: {r}'
        else:
            assert tuple(r) == mayores[nombre][1], f'{nombre}: {r}'
        apuntar()


def test_los_limites_hacen_falta():
    "Sin contar las lecturas, Pillow abre sin rechistar una de las bombas: la prueba anterior no está vacía."
    jpeg = SANAS['jpeg']
    datos = jpeg[:2] + b'\xff\xfe\0\2' * (2 * imagenes.MAX_LECTURAS) + jpeg[2:]
    Image.open(io.BytesIO(datos)).load()
    assert abrir(datos) is None
    tesela = zlib.compress(bytes(5008**2))
    datos = tiff({259: 8, 322: 5008, 323: 5008, 325: len(tesela)}, tesela)
    assert Image.open(io.BytesIO(datos)).convert('RGB').size == (8, 8)
    assert abrir(datos) is None


RAROS = {  # lo que no es una imagen, y lo que dice el error
    'vacío': (b'', 'no lo es'),
    'texto': ('no soy una imagen, me llamo así'.encode(), 'no lo es'),
    'html': (b'<!doctype html><title>404</title>', 'no lo es'),
    'svg': (b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', 'no lo es'),
    'eps': (b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n', 'no lo es'),
    'pdf': (b'%PDF-1.4\n1 0 obj\n', 'no lo es'),
    'ico': (guardar(Image.new('RGB', (16, 16)), 'ICO'), 'no lo es'),
    'ppm': (b'P6 2 2 255 ' + bytes(12), 'no lo es'),
    'tiff en coma flotante': (guardar(dibujo('F'), 'TIFF'), '32 bits'),
    'tiff de 32 bits': (guardar(dibujo('I'), 'TIFF'), '32 bits'),
    'png de 0 × 5': (png(0, 5, idat=b''), 'no lo es|mide'),
    'png de 5 × 0': (png(5, 0, idat=b''), 'no lo es|mide'),
    'gif de 0 × 0': (SANAS['gif'][:6] + bytes(4) + SANAS['gif'][10:13], 'dañada|mide|no lo es'),
    'bmp de 0 × 9': (bmp(0, 9, 0, b''), 'no lo es|mide'),
    'png con la cabecera de un jpeg': (SANAS['jpeg'][:20] + SANAS['png-RGB'][20:], 'dañada|no lo es'),
    'jpeg con la firma de un png': (SANAS['png-RGB'][:8] + SANAS['jpeg'], 'dañada|no lo es'),
    'ninguna': (None, 'llegó NoneType'),
    'número': (7, 'llegó int'),
    'lista': ([1, 2], 'llegó list'),
    'matriz de dos canales': (np.zeros((4, 4, 2), np.uint8), r'\(4, 4, 2\)'),
    'matriz de enteros': (np.zeros((4, 4, 3), int), 'int64'),
    'imagen de Pillow sin píxeles': (Image.new('RGB', (0, 4)), 'mide 0 × 4'),
}


@pytest.mark.parametrize('caso', RAROS)
def test_no_es_una_imagen(caso, monkeypatch, apuntar):
    def nadie(*_, **__):
        raise AssertionError('abrir una imagen no lanza programas')

    monkeypatch.setattr(subprocess, 'Popen', nadie)
    fuente, dice = RAROS[caso]
    with pytest.raises(ImagenInvalida, match=dice):
        abrir_imagen(fuente)
    apuntar()


def test_rutas(tmp_path, apuntar):
    "Carpetas, tuberías, dispositivos, enlaces rotos, nombres imposibles y archivos enormes."
    (tmp_path / 'texto.png').write_text('no soy un PNG')
    os.mkfifo(tmp_path / 'tubería.png')
    (tmp_path / 'roto.png').symlink_to(tmp_path / 'nadie')
    (tmp_path / 'rueda.png').symlink_to(tmp_path / 'rueda.png')
    with open(tmp_path / 'enorme.png', 'wb') as f:
        f.truncate(100 * MIB)
    for ruta, dice in (
        (tmp_path, 'carpeta'),
        ('', 'No existe'),
        (tmp_path / 'tubería.png', 'no es un archivo'),
        ('/dev/zero', 'no es un archivo'),
        (tmp_path / 'enorme.png', 'pesa más de 32 MiB'),
        (tmp_path / 'texto.png', 'no lo es'),
        (tmp_path / 'roto.png', 'No existe'),
        (tmp_path / 'rueda.png', 'No existe'),
        ('a\0b.png', 'a·b.png'),
        (str(tmp_path / 'texto.png') + '\0.jpg', 'No existe'),
        ('ñ' * 5000, 'No existe el archivo «ñ+…»'),
        ('x\udcff.png', 'x·.png'),
        ('data:image/png;base64,AAAA', 'No existe'),
        ('.', 'carpeta'),
        (tmp_path / 'texto.png' / 'dentro.png', 'No existe'),
    ):
        inicio = time.thread_time()
        with pytest.raises((ImagenInvalida, FileNotFoundError), match=dice) as e:
            abrir_imagen(ruta)
        assert (type(e.value) is FileNotFoundError) == str(e.value).startswith('No existe')
        assert len(str(e.value)) < 400 and time.thread_time() - inicio < 0.5
        str(e.value).encode()  # se puede escribir
        apuntar()


def test_poliglotas_y_de_un_pixel(apuntar):
    "Lo que es una imagen y además otra cosa se abre como la imagen que es."
    z = io.BytesIO()
    with zipfile.ZipFile(z, 'w') as f:
        f.writestr('hola.txt', 'hola')
    for nombre, cola in (
        ('png-RGB', z.getvalue()),
        ('jpeg', z.getvalue()),
        ('gif', b'/*<script>*/'),
        ('bmp-RGB', b'%PDF-1.4'),
        ('png-RGBA', SANAS['jpeg']),
    ):
        assert np.array_equal(abrir(SANAS[nombre] + cola), abrir(SANAS[nombre]))
        apuntar()
    for formato in ('PNG', 'JPEG', 'GIF', 'WEBP', 'BMP', 'TIFF'):
        for lados in ((1, 1), (5000, 1), (1, 5000)):
            assert abrir(guardar(Image.new('RGB', lados, (200, 200, 200)), formato)).shape == (lados[1], lados[0], 3)
            apuntar()


def test_imagen_de_pillow_a_medio_cargar():
    "Una imagen abierta por otro, y cortada: el error también es el nuestro."
    with pytest.raises(ImagenInvalida, match='dañada'):
        abrir_imagen(Image.open(io.BytesIO(SANAS['png-RGB'][:-30])))
    original = dibujo('RGBA')
    abrir_imagen(original)
    assert original.mode == 'RGBA'  # no se toca lo que se recibe

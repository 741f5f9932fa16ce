"Lo que vería una persona es lo que ve el modelo: los adornos de un archivo no son la imagen."

import builtins
import struct
import threading
import warnings
import zlib

import numpy as np
import pytest
from imagenes import dibujo, exif, guardar, png, trozo_png
from PIL import Image, ImageDraw, PngImagePlugin, features

from img2audio.comun import imagenes
from img2audio.comun.imagenes import ImagenInvalida, abrir_imagen
from img2audio.comun.sistema import avisar, recoger_avisos
from img2audio.integracion import ImagenAjena

MIB = 2**20
PNG, JPEG = guardar(dibujo(), 'PNG'), guardar(dibujo(), 'JPEG')


def abrir(datos) -> np.ndarray:
    "Los píxeles; ningún aviso."
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        return np.asarray(abrir_imagen(datos))


def con_trozos(*trozos: bytes) -> bytes:
    return PNG[:33] + b''.join(trozos) + PNG[33:]


def segmento(marca: int, datos: bytes) -> bytes:
    return b'\xff' + bytes([marca]) + struct.pack('>H', len(datos) + 2) + datos


MUCHO = b'a' * (2 * MIB)
ADORNOS_PNG = {
    'texto largo': trozo_png(b'tEXt', b'prompt\0' + MUCHO),
    'texto comprimido': trozo_png(b'zTXt', b'prompt\0\0' + zlib.compress(MUCHO)),
    'texto Unicode': trozo_png(b'iTXt', b'workflow\0\1\0\0\0' + zlib.compress(MUCHO)),
    'perfil largo': trozo_png(b'iCCP', b'p\0\0' + zlib.compress(MUCHO)),
    'perfil inflado': trozo_png(b'iCCP', b'p\0\0' + zlib.compress(bytes(64 * MIB))),
    'textos inflados': trozo_png(b'zTXt', b'a\0\0' + zlib.compress(bytes(MIB))) * 5000,
    'perfil roto': trozo_png(b'iCCP', b'p\0\0no es zlib'),
    'texto roto': trozo_png(b'zTXt', b''),
    'suma mala': trozo_png(b'tEXt', b'a\0b')[:-4] + b'mala',
    'fecha rota': trozo_png(b'tIME', b'x'),
    'densidad rota': trozo_png(b'pHYs', b''),
    'paleta sugerida': trozo_png(b'sPLT', b''),
}
ADORNOS_JPEG = {
    'perfil roto': segmento(0xE2, b'ICC_PROFILE\0\1\1no lo es'),
    'perfil a medias': segmento(0xE2, b'ICC_PROFILE\0\1\x09' + b'x' * 60_000),
    'MPF roto': segmento(0xE2, b'MPF\0basura'),
    'Photoshop roto': segmento(0xED, b'Photoshop 3.0\0' + b'8BIM\x04\x04\xff\xff\xff\xff\xff'),
    'XMP roto': segmento(0xE1, b'http://ns.adobe.com/xap/1.0/\0<x'),
    'EXIF roto': segmento(0xE1, b'Exif\0\0II*\0\xff\xff\xff\xff'),
    'EXIF de basura': segmento(0xE1, b'Exif\0\0' + bytes(range(256))),
    'comentario': segmento(0xFE, b'\xff' * 60_000),
}


@pytest.mark.parametrize('caso', ADORNOS_PNG)
def test_adornos_de_un_png(caso, apuntar):
    assert np.array_equal(abrir(con_trozos(ADORNOS_PNG[caso])), abrir(PNG))
    apuntar()


@pytest.mark.parametrize('caso', ADORNOS_JPEG)
def test_adornos_de_un_jpeg(caso, apuntar):
    assert np.array_equal(abrir(JPEG[:2] + ADORNOS_JPEG[caso] + JPEG[2:]), abrir(JPEG))
    apuntar()


def test_lo_que_si_es_la_imagen_se_comprueba():
    "Una suma mala en los píxeles, la paleta o la transparencia sigue siendo un daño; y el giro del EXIF se respeta."
    paleta = guardar(dibujo('P'), 'PNG', transparency=3)
    for tipo in (b'IDAT', b'PLTE', b'tRNS'):
        i = paleta.index(tipo) + 6
        with pytest.raises(ImagenInvalida):
            abrir(paleta[:i] + bytes([paleta[i] ^ 1]) + paleta[i + 1 :])
    info = PngImagePlugin.PngInfo()
    info.add_text('prompt', 'a' * (2 * MIB))
    girados = (
        guardar(dibujo(), 'PNG', exif=exif(6), pnginfo=info),
        guardar(dibujo(), 'JPEG', exif=exif(6), comment='x' * 2000),
    )
    for datos in girados:
        assert abrir(datos).shape == (23, 17, 3)


# --- Transparencias ---


def bmp_de_32_bits(rgba: np.ndarray) -> bytes:
    "Un BMP V5 con canal alfa."
    alto, ancho = rgba.shape[:2]
    pixeles = rgba[::-1, :, [2, 1, 0, 3]].tobytes()
    cabecera = struct.pack('<IiiHHIIiiII', 124, ancho, alto, 1, 32, 3, len(pixeles), 0, 0, 0, 0)
    cabecera += struct.pack('<4I', 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    cabecera += b'BGRs' + bytes(124 - len(cabecera) - 4)
    return b'BM' + struct.pack('<IHHI', 14 + 124 + len(pixeles), 0, 0, 14 + 124) + cabecera + pixeles


def test_alfa_cero_en_todas_partes(apuntar):
    "No borra la imagen: se ignora. Donde de verdad no hay nada, papel en blanco."
    color = np.asarray(dibujo())
    rgba = np.dstack([color, np.zeros(color.shape[:2], np.uint8)])
    imagen = Image.fromarray(rgba)
    for datos in (bmp_de_32_bits(rgba), guardar(imagen, 'PNG'), guardar(imagen, 'TIFF'), imagen, rgba):
        assert np.array_equal(abrir(datos), color)
        apuntar()
    assert (abrir(guardar(Image.new('RGBA', (9, 9), (7, 7, 7, 0)), 'PNG')) == 255).all()
    rgba[0, 0, 3] = 255
    assert (abrir(rgba)[1:] == 255).all() and np.array_equal(abrir(rgba)[0, 0], color[0, 0])


def figura(color, fondo=(0, 0, 0, 0)) -> Image.Image:
    "Un disco sobre un papel transparente, con el borde suavizado."
    grande = Image.new('RGBA', (256, 256), fondo)
    ImageDraw.Draw(grande).ellipse((60, 60, 200, 200), fill=color)
    return grande.resize((64, 64), Image.LANCZOS)


def test_un_dibujo_blanco_se_ve(apuntar):
    "Sobre papel transparente, el blanco se pone sobre negro; los demás, sobre blanco, como siempre."
    for color in ((255, 255, 255), (240, 245, 250), (255, 255, 255, 150)):
        for fondo in ((0, 0, 0, 0), (255, 255, 255, 0)):
            for formato in ('PNG', 'WEBP', 'TIFF'):
                opciones = dict(lossless=True) if formato == 'WEBP' else {}
                vista = abrir(guardar(figura(color, fondo), formato, **opciones))
                assert vista.std() > 40 and vista[0, 0].max() < 40
                apuntar()
    for color in ((0, 0, 0), (200, 30, 30), (255, 220, 0), (170, 170, 170)):
        assert abrir(guardar(figura(color), 'PNG'))[0, 0].min() == 255
        apuntar()
    contorno = figura('white')
    ImageDraw.Draw(contorno).ellipse((15, 15, 50, 50), outline='black', width=2)
    assert abrir(guardar(contorno, 'PNG'))[0, 0].min() == 255  # con su contorno ya se ve
    papeles = [imagenes._papel(Image.open(d['archivo']).convert('RGBA')) for d in imagenes.cargar_dibujos()]
    assert papeles.count('black') <= 0.01 * len(papeles)


# --- 12 bits en 16 ---


@pytest.mark.parametrize('bits', [8, 10, 12, 16])
def test_los_bits_que_lleva(bits, apuntar):
    rampa = np.linspace(0, 2**bits - 1, 64 * 64).astype(np.uint16).reshape(64, 64)
    for formato in ('PNG', 'TIFF'):
        vista = abrir(guardar(Image.fromarray(rampa), formato))[..., 0]
        assert np.array_equal(vista, rampa >> (bits - 8)) and vista.max() == 255
        apuntar()


CANALES = {'RGB': 3, 'RGBA': 4, 'LA': 2}


def png_profundo(m: np.ndarray) -> bytes:
    "Un PNG de 16 bits por canal."
    alto, ancho, canales = m.shape
    cabecera = struct.pack('>IIBBBBB', ancho, alto, 16, {2: 4, 3: 2, 4: 6}[canales], 0, 0, 0)
    filas = b''.join(b'\0' + fila.astype('>u2').tobytes() for fila in m)
    trozos = [trozo_png(b'IHDR', cabecera), trozo_png(b'IDAT', zlib.compress(filas)), trozo_png(b'IEND', b'')]
    return b'\x89PNG\r\n\x1a\n' + b''.join(trozos)


def tiff_profundo(m: np.ndarray, orden: str, comprimido: bool = False) -> bytes:
    "Un TIFF de 16 bits por canal; `orden` es `<` o `>`."
    alto, ancho, canales = m.shape
    pixeles = m.astype(orden + 'u2').tobytes()
    if comprimido:
        pixeles = zlib.compress(pixeles)
    etiquetas = {
        256: ancho,
        257: alto,
        259: 8 if comprimido else 1,
        262: 2,
        273: 8,
        277: canales,
        278: alto,
        279: len(pixeles),
    } | ({338: 2} if canales == 4 else {})
    bits = 8 + len(pixeles)
    ifd = bits + 2 * canales
    entradas = [struct.pack(orden + 'HHII', k, 4, 1, v) for k, v in etiquetas.items()]
    entradas.append(struct.pack(orden + 'HHII', 258, 3, canales, bits))
    entradas.sort(key=lambda e: struct.unpack(orden + 'H', e[:2]))
    cabecera = (b'II' if orden == '<' else b'MM') + struct.pack(orden + 'HI', 42, ifd)
    return (
        cabecera
        + pixeles
        + np.full(canales, 16, orden + 'u2').tobytes()
        + struct.pack(orden + 'H', len(entradas))
        + b''.join(entradas)
        + bytes(4)
    )


@pytest.mark.parametrize('modo', CANALES)
@pytest.mark.parametrize('bits', [8, 10, 12, 16])
def test_los_bits_que_lleva_un_color(bits, modo, apuntar):
    "También en color, con opacidad y en TIFF."
    rampa = np.linspace(0, 2**bits - 1, 64 * 64 * CANALES[modo]).astype(np.uint16).reshape(64, 64, CANALES[modo])
    if modo != 'RGB':
        rampa[..., -1] = 2**bits - 1  # opaca
    debe = (rampa >> (bits - 8)).astype(np.uint8)
    debe = debe[..., [0, 0, 0]] if modo == 'LA' else debe[..., :3]
    archivos = [png_profundo(rampa)]
    if modo != 'LA':
        archivos += [tiff_profundo(rampa, orden, z) for orden in '<>' for z in (False, True)]
    if bits < 16 and modo != 'RGB':
        rampa[..., -1] = 2**16 - 1  # los colores son de 12 bits y la opacidad, de 16
        archivos.append(png_profundo(rampa))
    for datos in archivos:
        assert np.array_equal(abrir(datos), debe)
        apuntar()


def test_un_color_profundo_sigue_derecho():
    "Aclararla no la cambia de lado."
    m = np.zeros((8, 16, 3), np.uint16)
    m[:, 8:, 0] = 4095
    datos = png_profundo(m)
    vista = abrir(datos[:33] + trozo_png(b'eXIf', exif(6)[6:]) + datos[33:])
    assert vista.shape == (16, 8, 3) and vista[0, 0, 0] == 0 and vista[-1, -1, 0] == 255


# --- varios hilos a la vez ---


def test_los_avisos_son_de_todos_los_hilos():
    "Abrir imágenes y recoger avisos en varios hilos no toca los filtros de nadie, y a cada hilo le llegan los suyos."
    filtros, ensena, sigue, mal = warnings.filters, warnings.showwarning, threading.Event(), []

    def abrir_muchas(datos, debe):
        while not sigue.is_set():
            try:
                with recoger_avisos() as recogidos:
                    imagenes.abrir_imagen(datos)
                assert len(recogidos) == debe
            except Exception as e:
                mal.append(e)

    hilos = [
        threading.Thread(target=abrir_muchas, args=(datos, debe), daemon=True)
        for datos, debe in ((PNG, 0), (JPEG[:-2], 1)) * 2
    ]
    for h in hilos:
        h.start()
    for _ in range(200):
        with recoger_avisos() as recogidos:
            avisar('para quien lo usa', ImagenAjena)
        assert recogidos == ['para quien lo usa']
    sigue.set()
    for h in hilos:
        h.join()
    assert not mal and warnings.filters is filtros and warnings.showwarning is ensena


def test_cada_hilo_con_sus_avisos():
    "Mientras un hilo abre una imagen, a Pillow se le oye en los demás; y los filtros no se amontonan."
    abriendo, oido, de_verdad = threading.Event(), threading.Event(), imagenes._decodificar

    def despacio(datos):
        warnings.warn_explicit('aquí no', UserWarning, 'x.py', 1, module='PIL.Image')
        abriendo.set()
        assert oido.wait(10)
        return de_verdad(datos)

    with warnings.catch_warnings(record=True) as avisos, pytest.MonkeyPatch.context() as m:
        warnings.simplefilter('always')
        m.setattr(imagenes, '_decodificar', despacio)
        hilo = threading.Thread(target=abrir_imagen, args=(PNG,), daemon=True)
        hilo.start()
        assert abriendo.wait(10)
        warnings.warn_explicit('en otro', UserWarning, 'x.py', 1, module='PIL.Image')
        oido.set()
        hilo.join()
        assert [str(a.message) for a in avisos] == ['en otro']
        cuantos = len(warnings.filters)
        for _ in range(5):
            abrir_imagen(PNG)
        assert len(warnings.filters) == cuantos


# --- JPEG: sin final, y muy grandes ---


@pytest.mark.parametrize(
    'opciones',
    [
        {},
        dict(progressive=True),
        dict(quality=30, subsampling=0),
        dict(restart_marker_blocks=1),
        dict(restart_marker_rows=2, subsampling=2),
    ],
)
@pytest.mark.parametrize('modo', ['RGB', 'L', 'CMYK'])
def test_un_jpeg_sin_final(modo, opciones, apuntar):
    "Si solo le falta la marca, se abre y se avisa; si le falta un trozo, no se abre."
    entero = guardar(dibujo(modo, (203, 117)), 'JPEG', **opciones)
    assert entero.endswith(b'\xff\xd9')
    for cortado in (entero[:-2], entero[:-1]):
        with pytest.warns(UserWarning, match='le falta la marca de su final'):
            vista = np.asarray(abrir_imagen(cortado))
        assert np.array_equal(vista, abrir(entero))
        apuntar()
    for k in np.linspace(len(entero) // 3, len(entero) - 40, 12).astype(int):
        with pytest.raises(ImagenInvalida):
            abrir_imagen(entero[:k])
        apuntar()


def test_un_jpeg_de_muchos_pixeles():
    "De 25 a 250 millones, reducido: la mitad, el cuarto. Más, o progresivo de más de 50, no."
    for lados, parte in (((6000, 4000), 1), ((8000, 6000), 2), ((10_000, 7000), 2), ((16_320, 12_240), 4)):
        datos = guardar(Image.new('L', lados, 90), 'JPEG')
        vista = abrir_imagen(datos)
        assert vista.size == (lados[0] // parte, lados[1] // parte) and vista.getpixel((9, 9)) == (90, 90, 90)
    with pytest.raises(ImagenInvalida, match='demasiados píxeles'):
        abrir_imagen(guardar(Image.new('L', (20_000, 15_000)), 'JPEG'))
    with pytest.raises(ImagenInvalida, match='demasiados píxeles'):
        abrir_imagen(guardar(Image.new('L', (8000, 7000)), 'JPEG', progressive=True))
    with pytest.raises(ImagenInvalida, match='demasiados píxeles'):
        abrir_imagen(png(8000, 7000))


# --- Teléfonos y emojis ---


def test_heic(monkeypatch):
    "Se abre con el extra; sin él, se dice qué es y qué hacer."
    de_verdad = builtins.__import__

    def sin_heif(nombre, *resto):
        if nombre == 'pillow_heif':
            raise ImportError(nombre)
        return de_verdad(nombre, *resto)

    for marca, otras in ((b'heic', b'mif1heic'), (b'mif1', b'heicmif1'), (b'msf1', b'hevc')):
        datos = struct.pack('>I', 16 + len(otras)) + b'ftyp' + marca + bytes(4) + otras + bytes(64)
        dice = r'es HEIC.*pip install .img2audio\[imagenes\]'
        with monkeypatch.context() as m, pytest.raises(ImagenInvalida, match=dice):
            m.setattr(builtins, '__import__', sin_heif)
            abrir_imagen(datos)
    heif = pytest.importorskip('pillow_heif')
    heif.register_heif_opener()
    vista = abrir(guardar(dibujo('RGB', (128, 96)), 'HEIF', quality=100))
    assert np.abs(vista.astype(int) - np.asarray(dibujo('RGB', (128, 96)))).mean() < 12


@pytest.mark.skipif(not features.check('avif'), reason='este Pillow no lleva AVIF')
def test_avif(monkeypatch):
    datos = guardar(dibujo('RGB', (128, 96)), 'AVIF', quality=100)
    assert np.abs(abrir(datos).astype(int) - np.asarray(dibujo('RGB', (128, 96)))).mean() < 12
    with pytest.raises(ImagenInvalida, match='demasiados píxeles'), monkeypatch.context() as m:
        m.setattr(imagenes, 'MAX_PIXELES', 1000)
        abrir_imagen(datos)
    monkeypatch.setattr(features, 'check', lambda _: False)
    with pytest.raises(ImagenInvalida, match='es AVIF.*pip install -U pillow'):
        abrir_imagen(datos)


@pytest.mark.parametrize('emoji', ['1️⃣', '#️⃣', '*⃣', '‼️', '⁉️', '↔️', '〰️', 'ℹ️', '🏳️‍🌈', '👩🏽‍🚒', '🇪🇸'])
def test_emojis_que_no_lo_parecen(emoji, apuntar):
    "Se dibujan o, si falta la fuente, se dice; nunca «No existe el archivo»."
    try:
        assert abrir_imagen(emoji).mode == 'RGB'
    except ImagenInvalida as e:
        assert 'No hay dibujo' in str(e) or 'no tiene dibujo' in str(e)
    apuntar()

"Imágenes sanas de todas las clases, y modos de estropearlas. Todo sale de una semilla."

import io
import random
import struct
import zlib

import numpy as np
from PIL import Image

LADOS = (23, 17)  # primos: ninguna fila cuadra con los bloques de nadie


def dibujo(modo: str = 'RGB', lados: tuple[int, int] = LADOS) -> Image.Image:
    "Un degradado con una mancha; en los modos con alfa, con transparencia de verdad."
    y, x = np.mgrid[: lados[1], : lados[0]]
    capas = [x * 255 // max(lados[0] - 1, 1), y * 255 // max(lados[1] - 1, 1), (x + y) * 7 % 256, 255 - (x * y) % 200]
    if modo == 'I;16':
        return Image.fromarray(((x * 2800 + y * 97) % 65536).astype(np.uint16))
    if modo == 'F':
        return Image.fromarray((x / 7 - y).astype(np.float32))
    if modo == 'I':
        return Image.fromarray((x * 70_000 - y).astype(np.int32))
    rgba = Image.fromarray(np.stack(capas, -1).astype(np.uint8))
    return rgba if modo == 'RGBA' else rgba.convert('LA') if modo == 'LA' else rgba.convert('RGB').convert(modo)


def guardar(imagen: Image.Image, formato: str, **opciones) -> bytes:
    f = io.BytesIO()
    imagen.save(f, formato, **opciones)
    return f.getvalue()


def exif(orientacion: int) -> bytes:
    e = Image.Exif()
    e[0x0112], e[0x010F] = orientacion, 'img2audio'
    return e.tobytes()


def sanas() -> dict[str, bytes]:
    "Una imagen de cada clase que se promete abrir."
    fotogramas = dict(save_all=True, append_images=[dibujo('RGB').rotate(90), dibujo('L').convert('RGB')], duration=50)
    casos = {f'png-{m}': guardar(dibujo(m), 'PNG') for m in ('1', 'L', 'LA', 'P', 'RGB', 'RGBA', 'I;16')}
    casos |= {
        'png-animado': guardar(dibujo(), 'PNG', **fotogramas),
        'png-exif': guardar(dibujo(), 'PNG', exif=exif(6)),
        'png-transparente': guardar(dibujo('P'), 'PNG', transparency=3),
    }
    casos |= {
        'jpeg': guardar(dibujo(), 'JPEG'),
        'jpeg-progresivo': guardar(dibujo(), 'JPEG', progressive=True),
        'jpeg-gris': guardar(dibujo('L'), 'JPEG'),
        'jpeg-cmyk': guardar(dibujo('CMYK'), 'JPEG'),
        'jpeg-exif': guardar(dibujo(), 'JPEG', exif=exif(8)),
        'jpeg-mpo': guardar(dibujo(), 'MPO', save_all=True, append_images=[dibujo('L').convert('RGB')]),
    }  # el de los teléfonos, con dos imágenes
    casos |= {
        'gif': guardar(dibujo('P'), 'GIF'),
        'gif-animado': guardar(dibujo(), 'GIF', **fotogramas),
        'gif-gris': guardar(dibujo('L'), 'GIF'),
    }
    casos |= {
        'webp': guardar(dibujo(), 'WEBP'),
        'webp-sin-pérdida': guardar(dibujo('RGBA'), 'WEBP', lossless=True),
        'webp-animado': guardar(dibujo(), 'WEBP', **fotogramas),
        'webp-exif': guardar(dibujo(), 'WEBP', exif=exif(3)),
    }
    casos |= {f'bmp-{m}': guardar(dibujo(m), 'BMP') for m in ('1', 'L', 'P', 'RGB', 'RGBA')}
    casos |= {
        f'tiff-{c}': guardar(dibujo(), 'TIFF', compression=c)
        for c in ('raw', 'tiff_lzw', 'tiff_adobe_deflate', 'packbits', 'jpeg')
    }
    casos |= {f'tiff-{m}': guardar(dibujo(m), 'TIFF') for m in ('1', 'LA', 'RGBA', 'CMYK', 'I;16', 'LAB', 'YCbCr')}
    return casos | {'tiff-páginas': guardar(dibujo(), 'TIFF', save_all=True, append_images=[dibujo('L')])}


def estropear(datos: bytes, azar: random.Random, otros: list[bytes]) -> bytes:
    """Una copia con uno a cuatro daños al azar: bits, bytes, números de cabecera,
    o trozos quitados, repetidos, en blanco, al azar o de otro archivo."""
    d = bytearray(datos)
    for _ in range(azar.choice((1, 1, 2, 4))):
        i, n = (
            azar.randrange(len(d) + 1) if azar.random() < 0.5 else azar.randrange(min(len(d), 64) + 1),
            azar.choice((1, 2, 4, 16, 64)),
        )
        match azar.randrange(8):
            case 0 if i < len(d):
                d[i] ^= 1 << azar.randrange(8)
            case 1:
                d[i : i + 1] = azar.randbytes(1)
            case 2:
                d[i : i + 4] = struct.pack(
                    azar.choice('<>') + 'I', azar.choice((0, 1, 255, 65535, 2**31 - 1, 2**31, 2**32 - 1))
                )
            case 3:
                del d[i : i + n]
            case 4:
                d[i:i] = d[i : i + n]
            case 5:
                d[i : i + n] = bytes(len(d[i : i + n]))
            case 6:
                d[i : i + n] = azar.randbytes(n)
            case 7:
                otro = azar.choice(otros)
                j = azar.randrange(len(otro))
                d[i : i + n] = otro[j : j + n]
    return bytes(d)


def trozo_png(tipo: bytes, datos: bytes = b'') -> bytes:
    return struct.pack('>I', len(datos)) + tipo + datos + struct.pack('>I', zlib.crc32(tipo + datos))


def png(ancho: int, alto: int, antes: bytes = b'', idat: bytes | None = None) -> bytes:
    "Un PNG gris de las medidas que se digan; sin `idat`, negro y entero."
    if idat is None:
        z, fila = zlib.compressobj(1), bytes(ancho + 1)
        idat = b''.join([z.compress(fila) for _ in range(alto)] + [z.flush()])
    return (
        b'\x89PNG\r\n\x1a\n'
        + trozo_png(b'IHDR', struct.pack('>IIBBBBB', ancho, alto, 8, 0, 0, 0, 0))
        + antes
        + trozo_png(b'IDAT', idat)
        + trozo_png(b'IEND')
    )


def bmp(ancho: int, alto: int, compresion: int, datos: bytes) -> bytes:
    "Un BMP de 8 bits con la paleta que sea: con `compresion=1`, RLE8."
    paleta = bytes(v for k in range(256) for v in (k, 255 - k, k, 0))
    return (
        b'BM'
        + struct.pack('<IHHI', 1078 + len(datos), 0, 0, 1078)
        + struct.pack('<IiiHHIIiiII', 40, ancho, alto, 1, 8, compresion, len(datos), 0, 0, 256, 0)
        + paleta
        + datos
    )


def tiff(etiquetas: dict[int, int], datos: bytes) -> bytes:
    """Un TIFF de una página y 8 bits, con las etiquetas que se digan;
    `datos` empieza donde dice la 273 (bandas) o la 324 (teselas)."""
    etiquetas = {256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 277: 1} | etiquetas
    inicio = 8 + 2 + 12 * (len(etiquetas) + 1) + 4
    cual = 324 if 322 in etiquetas else 273
    filas = sorted({**etiquetas, cual: inicio}.items())
    return (
        b'II*\0'
        + struct.pack('<IH', 8, len(filas))
        + b''.join(struct.pack('<HHII', t, 4, 1, v) for t, v in filas)
        + bytes(4)
        + datos
    )


def jpeg_de_barridos(ancho: int, alto: int, n: int) -> bytes:
    "Un JPEG progresivo, válido y minúsculo, que recorre la imagen entera `n` veces sin cambiar nada."
    bloques = ((ancho + 7) // 8) * ((alto + 7) // 8)

    def marca(m, d):
        return b'\xff' + bytes([m]) + struct.pack('>H', len(d) + 2) + d

    # un código de un bit: EOB14, y «sin cambio»
    tablas = marca(0xC4, bytes([0x10, 1, *[0] * 15, 0xE0])) + marca(0xC4, bytes([0x00, 1, *[0] * 15, 0]))
    bits = '0' * 15 * (bloques // 16384 + 1)
    bits += '1' * (-len(bits) % 8)
    barrido = marca(0xDA, bytes([1, 1, 0, 1, 63, 0])) + bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))
    return (
        b'\xff\xd8'
        + marca(0xDB, b'\0' + b'\1' * 64)
        + marca(0xC2, struct.pack('>BHHB', 8, alto, ancho, 1) + bytes([1, 0x11, 0]))
        + tablas
        + marca(0xDA, bytes([1, 1, 0, 0, 0, 0]))
        + bytes((bloques + 7) // 8)
        + barrido * n
        + b'\xff\xd9'
    )

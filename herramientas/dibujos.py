"""Rehace los dibujos de `img2audio/dibujos`: los de los diez conceptos de ESC-10 y los de otras cosas (clase `otro`).

La receta está al lado, en `herramientas/dibujos`:

- `receta.csv`, una línea por dibujo: su estilo, su clase, de qué icono de qué paquete sale (o de qué emoji), y en qué
  partición queda. Los casi iguales dentro de un estilo (tonos de piel, horas del reloj, colores de una misma figura)
  van siempre juntos. Los estilos de iconos son todos de entrenamiento;
- `trazo/` y `pintado/`, los SVG de los estilos propios, que puede abrir cualquier programa;
- `package.json`, los paquetes de Iconify de los que salen los demás.

    cp herramientas/dibujos/package.json DIR && npm install --prefix DIR
    pip install -e '.[dev]'
    python herramientas/dibujos.py DIR/node_modules/@iconify-json
"""

import csv
import io
import json
import math
import re
import shutil
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import cairosvg
import numpy as np
from fastcore.script import call_parse
from PIL import Image, ImageDraw

RECETA = Path(__file__).with_suffix('')
LADO, GRANDE, MARGEN = 96, 384, 3  # píxeles del dibujo, de cuando se pinta, y de margen
ESCALA = GRANDE / 124  # píxeles por unidad de los SVG, que van de -12 a 112
PROPIOS = 'trazo', 'pintado'
EN_COLOR = 'noto', 'twemoji', 'fluent', *PROPIOS  # los primeros estilos, que se guardan sin reducir los colores
# Correlación que un icono, que es de entrenamiento, no debe pasar con un dibujo de prueba de su clase
PARECIDO = 0.85


@lru_cache
def paquete(
    carpeta: Path,  # de un paquete de Iconify
) -> tuple:  # sus iconos, y de cada emoji, el nombre de su icono
    if not (carpeta / 'icons.json').exists():
        raise SystemExit(f'No existe {carpeta / "icons.json"}: ¿es la carpeta de un paquete de Iconify?')
    emojis = carpeta / 'chars.json'
    return (
        json.loads((carpeta / 'icons.json').read_text(encoding='utf-8')),
        json.loads(emojis.read_text(encoding='utf-8')) if emojis.exists() else {},
    )


def clave(emoji: str) -> str:
    "Su nombre en `chars.json`: sus puntos de código, en hexadecimal."
    return '-'.join(f'{ord(c):x}' for c in emoji)


def de_icono(
    carpeta: Path,  # de un paquete de Iconify
    nombre: str,  # de un icono, o un emoji
) -> Image.Image:
    "Un icono, a `GRANDE` píxeles de ancho."
    iconos, emojis = paquete(carpeta)
    nombre = emojis.get(clave(nombre)) or emojis.get(clave(nombre.replace('\ufe0f', ''))) or nombre
    while nombre in iconos.get('aliases', {}):
        nombre = iconos['aliases'][nombre]['parent']
    if nombre not in iconos['icons']:
        raise SystemExit(f'{carpeta.name} no tiene «{nombre}».')
    icono = iconos['icons'][nombre]
    w, h = (icono.get(k, iconos.get(k, 16)) for k in ('width', 'height'))
    x, y = (icono.get(k, iconos.get(k, 0)) for k in ('left', 'top'))
    cuerpo = icono['body'].replace('currentColor', '#000')
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{x} {y} {w} {h}" width="{w}" height="{h}">{cuerpo}</svg>'
    )
    png = cairosvg.svg2png(svg.encode(), output_width=GRANDE, output_height=round(GRANDE * h / w))
    return Image.open(io.BytesIO(png)).convert('RGBA')


def en_curva(
    puntos: list[tuple],  # `(x, y)`
    cerrada: bool,
    n: int = 10,  # puntos de cada tramo
) -> list[tuple]:
    "La curva de Catmull-Rom que pasa por unos puntos."
    ultimo = len(puntos) - 1

    def p(i):
        return puntos[i % len(puntos)] if cerrada else puntos[min(max(i, 0), ultimo)]

    def en(t, a, b, c, d):
        return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)

    curva = []
    for i in range(len(puntos) if cerrada else ultimo):
        cuatro = [p(i + k) for k in (-1, 0, 1, 2)]
        curva += [tuple(en(j / n, *eje) for eje in zip(*cuatro, strict=True)) for j in range(n)]
    return curva if cerrada else [*curva, puntos[-1]]


def contorno(e: ElementTree.Element) -> list[tuple]:
    "Los puntos de un camino (M, L, C y Z) o de una elipse, en píxeles. De una curva, los extremos: se vuelve a trazar."
    if e.tag.endswith('ellipse'):
        x, y, rx, ry = (float(e.get(k)) for k in ('cx', 'cy', 'rx', 'ry'))
        angulos = [2 * math.pi * i / n for n in [14 if rx > 5 else 8] for i in range(n)]
        puntos, curva, cerrada = [(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angulos], True, True
    else:
        d = e.get('d')
        curva, cerrada = 'C' in d, d.endswith('Z')
        puntos = [tuple(float(v) for v in orden.split()[-2:]) for orden in re.findall('[MLC]([^MLCZ]*)', d)]
        if curva and cerrada:
            puntos.pop()  # vuelve al primero
    puntos = [((x + 12) * ESCALA, (y + 12) * ESCALA) for x, y in puntos]
    return en_curva(puntos, cerrada) if curva else puntos


def de_svg(
    archivo: Path,  # con caminos, elipses y círculos, en un cuadro de -12 a 112
) -> Image.Image:
    "Un dibujo propio, pintado con Pillow: sin suavizar, que luego se reduce."
    im = Image.new('RGBA', (GRANDE, GRANDE))
    d = ImageDraw.Draw(im)
    for e in ElementTree.parse(archivo).getroot():
        color, borde = e.get('fill'), e.get('stroke')
        if e.tag.endswith('circle'):
            x, y, r = float(e.get('cx')) + 12, float(e.get('cy')) + 12, float(e.get('r'))
            d.ellipse([v * ESCALA for v in (x - r, y - r, x + r, y + r)], fill=color)
            continue
        puntos = contorno(e)
        if color != 'none':
            d.polygon(puntos, fill=color)
            puntos = puntos + puntos[:1]
        if not borde:
            continue
        r = float(e.get('stroke-width')) * GRANDE / 248
        for a, b in pairwise(puntos):
            d.line([a, b], fill=borde, width=max(1, round(2 * r)))
        for x, y in puntos:
            d.ellipse([x - r, y - r, x + r, y + r], fill=borde)
    return im


def dibuja(
    fila: dict,  # de la receta
    paquetes: Path,
) -> Image.Image:
    "El dibujo de una fila de la receta."
    if fila['paquete']:
        return de_icono(paquetes / fila['paquete'], fila['icono'] or fila['emoji'])
    im = de_svg(RECETA / fila['estilo'] / fila['clase'] / f'{fila["motivo"]}.svg')
    if fila['espejo']:
        im = im.transpose(Image.FLIP_LEFT_RIGHT)
    return im.rotate(int(fila['giro']), Image.BICUBIC, expand=True) if fila['giro'] else im


def encuadra(im: Image.Image) -> Image.Image:
    "Recorta lo transparente, centra el dibujo y lo deja en `LADO` x `LADO`."
    im = im.crop(im.getchannel('A').point(lambda a: 255 * (a > 8)).getbbox())
    f = (LADO - 2 * MARGEN) / max(im.size)
    im = im.resize([max(1, round(f * s)) for s in im.size], Image.LANCZOS)
    res = Image.new('RGBA', (LADO, LADO))
    res.paste(im, ((LADO - im.width) // 2, (LADO - im.height) // 2))
    return res


def guarda(
    im: Image.Image,
    archivo: Path,
    paleta: bool,  # en no más de 256 colores
) -> None:
    archivo.parent.mkdir(parents=True, exist_ok=True)
    if paleta:
        im = im.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    im.save(archivo, optimize=True)


def gris(im: Image.Image) -> np.ndarray:
    "Sobre blanco, en gris de 32 x 32, sin media y de norma 1."
    fondo = Image.new('RGBA', im.size, 'white')
    x = np.asarray(Image.alpha_composite(fondo, im).convert('L').resize((32, 32), Image.BOX), float)
    x -= x.mean()
    return x / (np.linalg.norm(x) or 1)


def comprueba_parecidos(
    filas: list[dict],
    salida: Path,
) -> None:
    "Que ningún icono sea casi igual, derecho o volteado, a un dibujo de prueba de su clase."

    def abre(f):
        return gris(Image.open(salida / f['archivo']).convert('RGBA'))

    prueba = [(f, abre(f)) for f in filas if f['particion'] == 'test']
    for f in filas:
        if f['estilo'] in EN_COLOR:
            continue
        suyo = abre(f)
        for p, x in prueba:
            if p['clase'] != f['clase']:
                continue
            r = max((suyo * x).sum(), (suyo * x[:, ::-1]).sum())
            if r > PARECIDO:
                raise SystemExit(f'{f["archivo"]} se parece demasiado a {p["archivo"]}, que es de prueba: {r:.2f}')


def escribe_tabla(filas: list[dict], archivo: Path) -> None:
    with open(archivo, 'w', newline='', encoding='utf-8') as f:
        tabla = csv.DictWriter(
            f, 'archivo clase estilo motivo emoji particion'.split(), lineterminator='\n', extrasaction='ignore'
        )
        tabla.writeheader()
        tabla.writerows(filas)


def hoja_contactos(
    filas: list[dict],
    salida: Path,
    destino: Path,
    columnas: int = 16,
    celda: int = 112,  # píxeles
) -> None:
    "Hoja con todos los dibujos, una clase tras otra; los de prueba llevan un marco rojo."
    y, sitios = 0, []
    for clase in dict.fromkeys(f['clase'] for f in filas):
        suyas = [f for f in filas if f['clase'] == clase]
        sitios += [(i % columnas * celda, y + i // columnas * celda, f) for i, f in enumerate(suyas)]
        y += celda * math.ceil(len(suyas) / columnas)
    hoja = Image.new('RGB', (columnas * celda, y), '#e9ece4')
    d = ImageDraw.Draw(hoja)
    for x, y, f in sitios:
        im, de_prueba = Image.open(salida / f['archivo']).convert('RGBA'), f['particion'] == 'test'
        hoja.paste(im, (x + 8, y + 3), im)
        nombre = f'{f["estilo"][:4]}/{f["motivo"]}'[:18]
        d.text((x + 4, y + celda - 13), nombre, fill='#c00' if de_prueba else '#333')
        if de_prueba:
            d.rectangle([x, y, x + celda - 1, y + celda - 1], outline='#c00')
    hoja.save(destino)


@call_parse
def main(
    paquetes: Path,  # carpeta `node_modules/@iconify-json` con los de `package.json`
    salida: Path = Path('img2audio/dibujos'),  # carpeta de la base de dibujos
    hoja: Path = None,  # si se da, PNG donde guardar una hoja de contactos
):
    "Rehace los dibujos, la tabla de los diez conceptos `dibujos.csv` y la de otras cosas `otros.csv`."
    with open(RECETA / 'receta.csv', newline='', encoding='utf-8') as f:
        filas = list(csv.DictReader(f))
    for estilo in {f['estilo'] for f in filas}:
        shutil.rmtree(salida / estilo, ignore_errors=True)
    for f in filas:
        f['archivo'] = f'{f["estilo"]}/{f["clase"]}/{f["motivo"]}.png'
        paleta = f['clase'] == 'otro' or f['estilo'] not in EN_COLOR
        guarda(encuadra(dibuja(f, paquetes)), salida / f['archivo'], paleta)
    conceptos = [f for f in filas if f['clase'] != 'otro']
    comprueba_parecidos(conceptos, salida)
    escribe_tabla(conceptos, salida / 'dibujos.csv')
    escribe_tabla([f for f in filas if f['clase'] == 'otro'], salida / 'otros.csv')
    for clase in dict.fromkeys(f['clase'] for f in filas):
        particiones = [f['particion'] for f in filas if f['clase'] == clase]
        print(f'{clase:15} {particiones.count("train"):3} de entrenamiento, {particiones.count("test"):2} de prueba')
    megas = sum(p.stat().st_size for p in salida.rglob('*.png')) / 1e6
    print(f'{len(filas)} dibujos, {megas:.2f} MB, en {salida}')
    if hoja:
        hoja_contactos(filas, salida, hoja)

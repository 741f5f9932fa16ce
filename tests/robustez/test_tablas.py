"""`leer_tabla` ante cincuenta clases de daño: o para y dice archivo y línea, o aparta las filas y las cuenta.

Nunca una descripción falsa."""

import gzip
import os
import random
import warnings

import pytest

from img2audio.base_de_datos import cargar_audiocaps, cargar_conceptual, cargar_descripciones
from img2audio.comun.tablas import TablaInvalida, leer_tabla

BUENA = 'id,caption\n1,Un perro ladra\n2,"Llueve, y mucho"\n3,"Dijo ""hola"""\n4,Canta un gallo\n'
FILAS = ['Un perro ladra', 'Llueve, y mucho', 'Dijo "hola"', 'Canta un gallo']
b, gz = BUENA.encode(), gzip.compress(BUENA.encode() * 400)


def con(linea: bytes) -> bytes:
    return b.replace(b'4,', linea + b'\n4,')  # en la línea 5


# nombre: (bytes, extensión, línea que dice el error o `None` si no hay error, lo que dice,
# filas que quedan si no se es estricto o `None` si tampoco se lee)
DAÑOS = {
    'campo de más': (con(b'9,x,y'), 'csv', 5, 'se esperaban 2 campos y hay 3', FILAS),
    'campo de menos': (con(b'9'), 'csv', 5, 'se esperaban 2 campos y hay 1', FILAS),
    'coma al final': (con(b'9,x,'), 'csv', 5, 'hay 3', FILAS),
    'muchas comas': (con(b',' * 500), 'csv', 5, 'hay 501', FILAS),
    'espacios': (con(b'   '), 'csv', 5, 'hay 1', FILAS),
    'punto y coma': (con(b'9;x'), 'csv', 5, 'hay 1', FILAS),
    'tabulador': (con(b'9\tx'), 'csv', 5, 'hay 1', FILAS),
    'Latin-1': (con('9,canción'.encode('latin-1')), 'csv', 5, 'UTF-8', FILAS),
    'byte suelto': (con(b'9,\xff'), 'csv', 5, 'UTF-8', FILAS),
    'UTF-8 cortado': (con(b'9,\xc3'), 'csv', 5, 'UTF-8', FILAS),
    'UTF-8 largo de más': (con(b'9,\xc0\xaf'), 'csv', 5, 'UTF-8', FILAS),
    'medio par sustituto': (con(b'9,\xed\xa0\x80'), 'csv', 5, 'UTF-8', FILAS),
    'mal en otra columna': (con(b'\xff,x'), 'csv', 5, 'UTF-8', FILAS),
    'byte nulo': (con(b'9,a\0b'), 'csv', 5, 'UTF-8', FILAS),
    'línea de nulos': (con(bytes(9)), 'csv', 5, 'hay 1|UTF-8', FILAS),
    'comilla sin cerrar': (con(b'9,"x'), 'csv', 5, 'comillas no casan', FILAS[:3]),
    'comilla sin cerrar al final': (b + b'9,"x', 'csv', 6, 'comillas no casan', FILAS),
    'letras tras la comilla': (con(b'9,"x"y'), 'csv', 5, 'comillas no casan', FILAS),
    'espacio tras la comilla': (con(b'9,"x" '), 'csv', 5, 'comillas no casan', FILAS),
    'comillas impares': (con(b'9,"a"b"'), 'csv', 5, 'comillas no casan', None),
    'campo enorme': (con(b'9,' + b'x' * 200_000), 'csv', 5, 'no acaba', FILAS),
    'línea de 2 MB': (con(b'9,' + b'x' * 2_000_000), 'csv', 5, 'una línea pasa de', FILAS[:3]),
    'sin saltos de línea': (b'id,caption' + b',x' * 1_000_000, 'csv', 1, 'pasa de', None),
    'última fila a medias': (b[:-16], 'csv', 5, 'hay 1', FILAS[:3]),
    'saltos de Mac antiguo': (b'id,caption\r1,Un perro ladra\r', 'csv', 1, 'Mac antiguo', None),
    'punto y coma en todas': (b.replace(b',', b';'), 'csv', 1, 'otro signo|comillas no casan', None),
    'Windows-1252': ('id,caption\n1,un niño llora'.encode('cp1252'), 'csv', 2, 'quizá sea Windows-1252', []),
    'vacía': (b'', 'csv', 1, 'hay ninguna', None),
    'solo saltos': (b'\n\n\n', 'csv', 1, 'hay ninguna', None),
    'sin cabecera': (b.split(b'\n', 1)[1], 'csv', 1, 'faltan o se repiten', None),
    'otra cabecera': (b.replace(b'caption', b'texto'), 'csv', 1, 'faltan o se repiten caption, y hay id, texto', None),
    'mayúsculas en la cabecera': (b.replace(b'caption', b'Caption'), 'csv', 1, 'faltan', None),
    'espacio en la cabecera': (b.replace(b',caption', b', caption'), 'csv', 1, 'faltan', None),
    'columna repetida': (b'caption,caption\na,b\n', 'csv', 1, 'se repiten caption', None),
    'cabecera con comillas sin cerrar': (b'id,"caption\n1,x\n', 'csv', 1, 'comillas no casan', None),
    'cabecera que no es UTF-8': (b'id\xff,caption\n1,x\n', 'csv', 1, 'UTF-8', None),
    'cabecera con nulos': (b'id\0,caption\n1,x\n', 'csv', 1, 'UTF-8', None),
    'UTF-16': (BUENA.encode('utf-16'), 'csv', 1, 'UTF-8', None),
    'UTF-16 sin marca': (BUENA.encode('utf-16-le'), 'csv', 1, 'UTF-8', None),
    'UTF-32': (BUENA.encode('utf-32'), 'csv', 1, 'UTF-8', None),
    'un PNG': (b'\x89PNG\r\n\x1a\n' + bytes(range(256)), 'csv', 1, 'UTF-8|faltan', None),
    'HTML': (b'<!doctype html>\n<p>404', 'csv', 1, 'faltan', None),
    'JSON': (b'[{"id": 1, "caption": "x"}]', 'csv', 1, 'comillas no casan|faltan', None),
    'TSV con nombre de CSV': (b.replace(b',', b'\t'), 'csv', 1, 'comillas no casan|faltan', None),
    'comprimida con nombre de CSV': (gz, 'csv', 1, 'UTF-8|faltan', None),
    'CSV con nombre de comprimida': (b, 'csv.gz', 1, 'cortado o dañado', None),
    'gz vacío': (b'', 'csv.gz', 1, 'ninguna|dañado', None),
    'gz cortado': (gz[:-12], 'csv.gz', '\\d+', 'cortado o dañado', ...),
    'gz cortado por la mitad': (gz[: len(gz) // 2], 'csv.gz', '\\d+', 'cortado o dañado', ...),
    'gz cortado en la cabecera': (gz[:6], 'csv.gz', 1, 'cortado o dañado', None),
    'gz con la suma cambiada': (gz[:-8] + b'xxxx' + gz[-4:], 'csv.gz', '\\d+', 'cortado o dañado', ...),
    'gz con el largo cambiado': (gz[:-4] + b'xxxx', 'csv.gz', '\\d+', 'cortado o dañado', ...),
    'gz con un bit cambiado': (gz[:40] + bytes([gz[40] ^ 8]) + gz[41:], 'csv.gz', '\\d+', '', ...),
    'gz con basura detrás': (gz + b'basura', 'csv.gz', '\\d+', 'cortado o dañado', ...),
    'gz de una línea sin fin': (gzip.compress(b'id,caption\n1,' + b'x' * 50_000_000), 'csv.gz', 2, 'pasa de', []),
}
SIN_DAÑO = {  # lo que debe leerse igual
    'sana': b,
    'con marca de UTF-8': b'\xef\xbb\xbf' + b,
    'saltos de Windows': b.replace(b'\n', b'\r\n'),
    'sin salto al final': b[:-1],
    'líneas en blanco': b.replace(b'\n', b'\n\n'),
    'otra columna': b'z,' + b.replace(b'\n', b'\n0,')[:-2],
    'todo entre comillas': (
        b'"id","caption"\n"1","Un perro ladra"\n"2","Llueve, y mucho"\n"3","Dijo ""hola"""\n"4","Canta un gallo"\n'
    ),
}


def test_hay_cincuenta():
    assert len(DAÑOS) >= 50


@pytest.mark.parametrize('caso', DAÑOS)
def test_daño(caso, tmp_path, apuntar):
    datos, ext, linea, dice, quedan = DAÑOS[caso]
    f = tmp_path / f'tabla.{ext}'
    f.write_bytes(datos)
    with pytest.raises(TablaInvalida, match=rf'(?s)tabla\.{ext}, línea {linea}: .*({dice})') as e:
        leer_tabla(f, ['caption'])
    str(e.value).encode()  # se puede escribir
    assert len(str(e.value)) < 600
    with warnings.catch_warnings(record=True) as avisos:
        warnings.simplefilter('always')
        try:
            salen = leer_tabla(f, ['caption'], estricto=False).caption.tolist()
        except TablaInvalida:
            salen = None
    if quedan is ...:
        assert salen is None or salen == (FILAS * 400)[: len(salen)] or set(salen) <= {*FILAS, 'caption'}
    elif caso == 'comillas impares':
        assert salen in (None, FILAS, FILAS[:3])
    else:
        assert salen == quedan
    if salen is not None:
        assert len(avisos) == 1 and 'filas rotas' in str(avisos[0].message)  # nada se aparta sin decirlo
    apuntar()


@pytest.mark.parametrize('caso', SIN_DAÑO)
def test_sin_daño(caso, tmp_path, apuntar):
    (tmp_path / 't.csv').write_bytes(SIN_DAÑO[caso])
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert leer_tabla(tmp_path / 't.csv', ['caption']).caption.tolist() == FILAS
    apuntar()


def test_al_azar(tmp_path, apuntar):
    """Bytes cambiados con semilla fija: las filas que se leen son de las que había, salvo la que lleva el cambio, y
    siempre hay aviso si falta alguna."""
    azar, f = random.Random(3), tmp_path / 't.csv'
    for _ in range(500):
        d = bytearray(b)
        for _ in range(azar.choice((1, 1, 3))):
            d[azar.randrange(11, len(d))] = azar.choice(b'",\n\r\0\xff x\t\xc3')
        f.write_bytes(d)
        with warnings.catch_warnings(record=True) as avisos:
            warnings.simplefilter('always')
            try:
                t = leer_tabla(f, ['id', 'caption'], estricto=False)
            except TablaInvalida as e:
                assert 'línea' in str(e)
                apuntar()
                continue
        assert all(isinstance(x, str) and '\0' not in x and x.encode() is not None for x in t.caption)
        try:
            leer_tabla(f, ['id', 'caption'])
        except TablaInvalida:
            assert avisos
        else:
            assert not avisos
        apuntar()


def test_rutas(tmp_path, apuntar):
    os.mkfifo(tmp_path / 'tubería.csv')
    for ruta, dice in (
        (tmp_path / 'nada.csv', 'No existe el archivo'),
        (tmp_path, 'carpeta'),
        (tmp_path / 'tubería.csv', 'no es un archivo'),
        ('a\0b.csv', 'No existe'),
        ('ñ' * 5000, 'No existe'),
        (None, 'llegó NoneType'),
    ):
        with pytest.raises((TablaInvalida, FileNotFoundError), match=dice):
            leer_tabla(ruta, ['id'])
        apuntar()


TEXTOS = [
    'null',
    'NA',
    'nan',
    'None',
    '911',
    '1e5',
    'TRUE',
    '-',
    'un perro\u2028ladra',
    'llueve\x85mucho',
    'olas\x0bdel\x0cmar',
    'un\rretorno\rsuelto',
    'acaba en\r',
    'dos\nlíneas',
    'con\ttabulador',
    'con "comillas"',
    '\x1c\x1d.',
]


def en_tabla(texto: str, separador: str) -> str:
    "Un campo, entre comillas si las necesita."
    citar = any(c in texto for c in f'"\n{separador}') or texto.endswith('\r')
    return '"' + texto.replace('"', '""') + '"' if citar else texto


@pytest.mark.parametrize('ext', ['csv', 'tsv', 'csv.gz', 'tsv.gz'])
@pytest.mark.parametrize('salto', ['\n', '\r\n'])
@pytest.mark.parametrize('marca', ['', '\ufeff'])
def test_todo_texto_es_texto(ext, salto, marca, tmp_path, apuntar):
    "Solo `\\n` y `\\r\\n` acaban una línea; una marca de UTF-8 no es texto; «null» y «911», sí."
    separador, archivo = '\t' if 'tsv' in ext else ',', tmp_path / f't.{ext}'
    filas = [f'n{separador}caption', *(f'{i}{separador}{en_tabla(t, separador)}' for i, t in enumerate(TEXTOS))]
    datos = (marca + salto.join(filas)).encode()
    archivo.write_bytes(gzip.compress(datos) if ext.endswith('gz') else datos)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        t = leer_tabla(archivo, ['caption'], todas=True)
        assert t.caption.tolist() == TEXTOS == list(cargar_descripciones(archivo)['caption'])
    assert t.n.tolist() == [str(i) for i in range(len(TEXTOS))]
    apuntar(len(TEXTOS))


def test_descripciones_en_blanco(tmp_path, apuntar):
    "Una descripción vacía no se embebe: o se dice dónde está, o se aparta con un aviso."
    ac = tmp_path / 'ac.csv'
    for blanca in ('', '   ', '\u00a0'):
        filas = f'1,a,30,A dog barks\n2,b,10,{blanca}\n'
        ac.write_text(f'audiocap_id,youtube_id,start_time,caption\n{filas}', encoding='utf-8')
        with pytest.raises(TablaInvalida, match=r'ac\.csv, línea 3: la columna caption está vacía'):
            cargar_audiocaps('train', ac)
        with pytest.raises(TablaInvalida, match='línea 3'):
            cargar_descripciones(ac)
        with pytest.warns(UserWarning, match='1 filas rotas'):
            quedan = cargar_descripciones(ac, estricto=False)
        assert list(quedan['caption']) == ['A dog barks']
        apuntar()
    (tmp_path / 'cc.tsv').write_text('\thttps://e.org/a.jpg\nel mar\thttps://e.org/b.jpg\n', encoding='utf-8')
    with pytest.warns(UserWarning, match='línea 1: la columna caption está vacía'):
        quedan = cargar_conceptual(tmp_path / 'cc.tsv')
    assert list(quedan['caption']) == ['el mar']

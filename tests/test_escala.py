"La extracción a escala ante lo que trae de verdad una tabla, un archivo o una carpeta; y lo que da cuando nada vale."

import io
import os
import tarfile

import pandas as pd
import pytest
from PIL import Image

from img2audio.base_de_datos import cargar_imagenes
from img2audio.comun.imagenes import abrir_imagen, es_del_sistema
from img2audio.comun.sistema import al_lado, de_una_vez, por_turno
from img2audio.comun.tablas import TablaInvalida
from img2audio.puertas import escala
from img2audio.puertas.escala import Extractor, abrir_extraccion, abrir_tabla, extraer_a_escala, leer_trozo, trozos


def dibujo(formato: str = 'PNG', color: str = 'red') -> bytes:
    Image.new('RGB', (40, 40), color).save(t := io.BytesIO(), formato)
    return t.getvalue()


def textos(origen, *columnas, parte: int = 4096) -> list:
    return [f['caption'] for t in trozos(origen, parte, *columnas[:1]) for f in leer_trozo(t, *columnas)]


def hacer_tar(archivo, **contenido) -> str:
    "Un tar con los archivos que se digan, en su orden."
    with tarfile.open(archivo, 'w') as tar:
        for nombre, datos in contenido.items():
            m = tarfile.TarInfo(nombre)
            m.size = len(datos)
            tar.addfile(m, io.BytesIO(datos))
    return str(archivo)


# --- Tablas: un solo lector ---

TSV = {  # lo que hay tras la cabecera `caption<TAB>url`, y las descripciones que son; `None`, una fila que no se lee
    'U+2028, U+0085, VT y FF': (
        'un perro\u2028ladra\ta\nllueve\x85mucho\tb\nolas\x0bdel\x0cmar\tc\n',
        ['un perro\u2028ladra', 'llueve\x85mucho', 'olas\x0bdel\x0cmar'],
    ),
    'retorno suelto': ('un\rperro\ta\nun gallo\tb\n', ['un\rperro', 'un gallo']),
    'saltos de Windows': ('un perro\ta\r\nun gallo\tb\r\n', ['un perro', 'un gallo']),
    'comillas': ('"un perro\nladra ""fuerte"""\ta\n"el mar"\tb\n', ['un perro\nladra "fuerte"', 'el mar']),
    'nulos que no lo son': ('null\ta\nNA\tb\n911\tc\n', ['null', 'NA', '911']),
    'campos de menos': ('un perro\nun gallo\tb\n', [None, 'un gallo']),
    'otra codificación': ('un perro\ta\n', ['un perro']),
    'en blanco': ('\nun perro\ta\n\n', ['un perro']),
    'solo cabecera': ('', []),
}


@pytest.mark.parametrize('marca', ['', '\ufeff'])
@pytest.mark.parametrize('parte', [1, 2, 4096])
@pytest.mark.parametrize('caso', TSV)
def test_tsv(caso, parte, marca, tmp_path, apuntar):
    "Cortada por donde sea, las mismas filas; y las mismas que da `leer_tabla`."
    datos, debe = TSV[caso]
    (tmp_path / 't.tsv').write_bytes((marca + 'caption\turl\n' + datos).encode())
    assert textos(tmp_path / 't.tsv', parte=parte) == debe
    if None not in debe:
        assert list(abrir_tabla(str(tmp_path / 't.tsv'))['caption']) == debe
    apuntar()


def test_columnas_por_su_nombre(tmp_path):
    "Ni la primera por ser la primera, ni en silencio si falta."
    for n, datos in {'a.tsv': 'lang\turl\tpie\nes\tx.png\tun perro\n', 'b.tsv': 'lang\tpie\nes\tun perro\n'}.items():
        (tmp_path / n).write_text(datos, encoding='utf-8')
        assert textos(tmp_path / n, 'pie') == ['un perro']
        with pytest.raises(TablaInvalida, match=f'{n}, línea 1: .*faltan o se repiten caption, y hay lang'):
            trozos(tmp_path / n)
    pd.DataFrame(dict(pie=['un perro'])).to_parquet(tmp_path / 'c.parquet')
    with pytest.raises(TablaInvalida, match='no tiene columna «caption»; tiene pie'):
        list(leer_trozo(trozos(tmp_path / 'c.parquet')[0]))
    filas = [('a "big" dog', 'https://e.org/a.jpg'), ('"the sea', 'http://e.org/b.jpg')]  # sin cabecera y sin comillas
    (tmp_path / 'cc.tsv').write_text(''.join(f'{c}\t{u}\n' for c, u in filas), encoding='utf-8')
    assert [(f['caption'], f['imagen']) for f in leer_trozo(trozos(tmp_path / 'cc.tsv')[0])] == filas


def test_la_codificacion_se_dice(tmp_path):
    (tmp_path / 'w.csv').write_bytes('caption\nun niño llora\n'.encode('cp1252'))
    with pytest.raises(TablaInvalida, match=r'w\.csv, línea 2: se esperaba UTF-8 .* Windows-1252'):
        abrir_tabla(str(tmp_path / 'w.csv'))
    (tmp_path / 'w.tsv').write_bytes('caption\turl\nun niño llora\ta\nun perro\tb\n'.encode('cp1252'))
    mala, buena = leer_trozo(trozos(tmp_path / 'w.tsv')[0])
    assert 'Windows-1252' in mala['error'] and buena['caption'] == 'un perro'


def test_abrir_tabla(tmp_path):
    "Todo texto es texto, también en las demás columnas; lo que no es una tabla se dice."
    (tmp_path / 'na.csv').write_text('id,caption\n007,null\n1,NA\n2,911\n', encoding='utf-8')
    t = abrir_tabla(str(tmp_path / 'na.csv'))
    assert list(t['caption']) == ['null', 'NA', '911'] and list(t['id']) == ['007', '1', '2']
    (tmp_path / 'roto.parquet').write_bytes(b'no soy un Parquet')
    for f in (abrir_tabla, trozos):
        with pytest.raises(TablaInvalida, match='no es un Parquet'):
            f(str(tmp_path / 'roto.parquet'))


# --- Archivos y carpetas: qué es de quién ---


def test_tar(tmp_path, apuntar):
    "Las muestras, partidas por el primer punto del nombre; cualquier imagen; y lo que deja el sistema, fuera."
    nombres = {
        './000.png': dibujo(),
        './000.txt': b'uno',
        './v1.2/001.jpg': dibujo('JPEG'),
        './v1.2/001.txt': b'\xef\xbb\xbfdos\n',
        '002.txt': b'sin imagen',
    }
    nombres |= dict.fromkeys(['._000.png', './__MACOSX/._000.txt', '.DS_Store', 'Thumbs.db', 'suelto'], b'x')
    filas = list(leer_trozo(trozos(hacer_tar(tmp_path / 'p.tar', **nombres))[0]))
    assert [f['caption'] for f in filas] == ['uno', 'dos', 'sin imagen']
    assert [f['imagen'] is not None for f in filas] == [True, True, False]
    for formato, ext in dict(PNG='png', JPEG='JPG', WEBP='webp', GIF='gif', BMP='bmp', TIFF='tif').items():
        contenido = {f'a.{ext}': dibujo(formato), 'a.seg.png': b'mascara', 'a.txt': b'x'}
        (f,) = leer_trozo(trozos(hacer_tar(tmp_path / 'f.tar', **contenido))[0])
        assert abrir_imagen(f['imagen']).size == (40, 40)
        apuntar()


def test_un_json_roto_es_una_fila(tmp_path):
    malos = [b'{"caption": ', b'', b'[1, 2]', b'null', b'"texto"', b'\xff\xfe\x00', b'[' * 100_000]
    malos += [b'{"caption": 3}', b'{"caption": "mal \\ud83d"}', b'{"otra": "x"}']
    contenido = {'bueno.json': '{"caption": "un niño"}'.encode(), 'bueno.png': dibujo()}
    for i, m in enumerate(malos):
        contenido |= {f'{i}.json': m, f'{i}.png': dibujo()}
    hacer_tar(tmp_path / 'j.tar', **contenido, **{'t.txt': b'\xff\xff', 't.png': dibujo()})
    (hecho,) = extraer_a_escala(tmp_path / 'j.tar', tmp_path / 's', imagenes=True, progreso=False)
    assert (hecho['filas'], hecho['errores']) == (1, len(malos) + 1)
    assert list(abrir_extraccion(tmp_path / 's')['caption']) == ['un niño']


def test_un_tar_cortado(tmp_path):
    "Lo que se pudo leer queda; lo demás, una fila de error."
    datos = open(hacer_tar(tmp_path / 'c.tar', **{'a.txt': b'uno', 'b.png': bytes(50_000)}), 'rb').read()
    (tmp_path / 'c.tar').write_bytes(datos[:5000])
    filas = list(leer_trozo(trozos(tmp_path / 'c.tar')[0]))
    assert filas[0]['caption'] == 'uno' and 'cortado o dañado' in filas[-1]['error']


def test_imagenes_de_datasets(tmp_path):
    "Una columna `{bytes, path}`, como las guarda datasets."
    Image.new('RGB', (9, 9)).save(tmp_path / 'x.png')
    parejas = [(dibujo(), None), (None, str(tmp_path / 'x.png')), (None, None)]
    imagenes = [*(dict(bytes=b, path=p) for b, p in parejas), None]
    pd.DataFrame(dict(caption=list('abcd'), image=imagenes)).to_parquet(tmp_path / 'hf.parquet')
    (hecho,) = extraer_a_escala(tmp_path / 'hf.parquet', tmp_path / 's', imagenes=True, imagen='image', progreso=False)
    assert (hecho['filas'], hecho['errores']) == (2, 2)


def test_cada_trozo_su_nombre(tmp_path):
    rutas = ['a/b', 'a-b', 'A-B', 'a/B', 'ñ', 'a%2Fb', 'x' * 120 + '/' + 'y' * 120, 'x' * 120 + '-' + 'y' * 100]
    for r in [*rutas, '._a', '__MACOSX/a']:
        (tmp_path / f'{r}.parquet').parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(dict(caption=[r])).to_parquet(tmp_path / f'{r}.parquet')
    nombres = [t['nombre'] for t in trozos(tmp_path)]
    assert len({n.casefold() for n in nombres}) == len(nombres) == len(rutas) and max(map(len, nombres)) < 200
    assert nombres == [t['nombre'] for t in trozos(tmp_path)] and not any('/' in n for n in nombres)


def test_carpeta_con_restos_del_sistema(tmp_path):
    for n in ('gallo.png', 'foto.v2.PNG', '__MACOSX/gallo.png'):
        (tmp_path / n).parent.mkdir(exist_ok=True)
        (tmp_path / n).write_bytes(dibujo())
    for n in ('._gallo.png', '.DS_Store', 'Thumbs.db'):
        (tmp_path / n).write_bytes(b'resto')
    (tmp_path / 'foto.txt').write_text('una foto', encoding='utf-8')
    assert {f['id']: f['caption'] for f in cargar_imagenes(tmp_path)} == {'gallo.png': '', 'foto.v2.PNG': 'una foto'}
    assert es_del_sistema('a/._b.png') and not es_del_sistema('a/.b/c_._d.png')


# --- El caso vacío ---


def test_trozos_sin_nada_bueno(tmp_path):
    "Uno con todo malo, uno sin filas y uno bueno: se abre, se sabe qué falló y no se rehace."
    (tmp_path / 't').mkdir()
    pd.DataFrame(dict(caption=['uno', 'dos'])).to_parquet(tmp_path / 't' / 'b.parquet')
    pd.DataFrame(dict(caption=[None, '  '])).to_parquet(tmp_path / 't' / 'a.parquet')
    pd.DataFrame(dict(caption=['x'])).iloc[:0].to_parquet(tmp_path / 't' / 'c.parquet')
    (tmp_path / 't' / 'd.tsv').write_text('caption\turl\n')
    (tmp_path / 't' / 'e.tsv').write_text('')
    hechos = extraer_a_escala(tmp_path / 't', tmp_path / 's', progreso=False)
    assert [(h['filas'], h['errores']) for h in hechos] == [(0, 2), (2, 0), (0, 0), (0, 0)]
    assert extraer_a_escala(tmp_path / 't', tmp_path / 's', progreso=False) == []
    assert list(abrir_extraccion(tmp_path / 's')['caption']) == ['uno', 'dos']
    assert len(abrir_extraccion(tmp_path / 's', 'errores')) == 2
    for nada in ('a.parquet', 'c.parquet', 'd.tsv'):
        extraer_a_escala(tmp_path / 't' / nada, tmp_path / f's-{nada}', progreso=False)
        vacia = abrir_extraccion(tmp_path / f's-{nada}')
        assert len(vacia) == 0 and vacia.column_names == ['id', 'caption', 'clip', 'clap']
        assert len(abrir_extraccion(tmp_path / f's-{nada}', 'errores')) == (2 if nada[0] == 'a' else 0)


def test_entrenar_con_trozos_vacios(tmp_path):
    pytest.importorskip('accelerate')
    e = Extractor(str(tmp_path / 's'))
    pd.DataFrame(dict(caption=[f'un perro {i}' for i in range(6)])).to_parquet(tmp_path / 'b.parquet')
    pd.DataFrame(dict(caption=[None])).to_parquet(tmp_path / 'a.parquet')
    for n in 'ab':
        e.extraer(trozos(tmp_path / f'{n}.parquet')[0])
    archivos = sorted((tmp_path / 's' / 'filas').glob('*'))
    assert -1 <= escala.entrenar_en_corriente(archivos, tmp_path / 'tr', validar=2, batch_size=2) <= 1
    malos = {
        'baje validar': dict(validar=10),
        'epocas debe ser al menos 1': dict(epocas=0),
        'batch_size debe': dict(batch_size=0),
    }
    for dice, args in malos.items():
        with pytest.raises(ValueError, match=dice):
            escala.entrenar_en_corriente(archivos, tmp_path / 'tr2', **args)
    with pytest.raises(ValueError, match='tablas están vacías'):
        escala.entrenar_en_corriente(archivos[:1], tmp_path / 'tr2')
    with pytest.raises(ValueError, match='ningún Parquet'):
        escala.entrenar_en_corriente([], tmp_path / 'tr2')


# --- Qué está ya hecho ---


def test_otro_clap_no_es_lo_mismo(tmp_path):
    "Un perfil con el mismo CLIP y otro CLAP no da por hecha la parte."
    import shutil

    from safetensors.torch import load_file, save_file

    from img2audio.base_de_datos import base_mini
    from img2audio.comun.perfiles import MINI, Perfil, cargar_perfil
    from img2audio.comun.sistema import ErrorDeUso

    shutil.copytree(MINI / 'clap', tmp_path / 'clap')
    pesos = load_file(tmp_path / 'clap' / 'model.safetensors')
    pesos['text_projection.weight'] = pesos['text_projection.weight'].flip(0)
    save_file(pesos, tmp_path / 'clap' / 'model.safetensors', metadata=dict(format='pt'))
    mini, tabla = cargar_perfil('mini'), base_mini(12)
    otro = Perfil('otro', mini.clip, str(tmp_path / 'clap'), mini.audioldm, mini.traductor)
    escala.extraer_parte(tabla, tmp_path, 0, 2, progreso=False)
    with pytest.raises(ValueError, match='CLAP de otro perfil'):
        escala.extraer_parte(tabla, tmp_path, 0, 2, otro, progreso=False)
    escala.extraer_parte(tabla, tmp_path, 0, 2, progreso=False)
    # Y por trozos, aunque el perfil se llame igual
    mismo = Perfil('otro', *(getattr(mini, m) for m in ('clip', 'clap', 'audioldm', 'traductor')))
    tabla.to_parquet(tmp_path / 't.parquet')

    def por_trozos(perfil):
        return escala.extraer_a_escala(tmp_path / 't.parquet', tmp_path / 's', perfil, progreso=False)

    assert len(por_trozos(mismo)) == 1 and por_trozos(mismo) == []
    with pytest.raises(ErrorDeUso, match='otro perfil'):
        por_trozos(otro)
    (tmp_path / 's' / 'extraccion.json').write_text('{')
    with pytest.raises(ErrorDeUso, match='dañado'):
        por_trozos(mismo)


# --- Nombres provisionales ---


@pytest.mark.parametrize('nombre', ['a' * 251 + '.wav', 'ñ' * 125 + '.wav', '🐓' * 62 + '.png', 'corto.wav'])
def test_un_nombre_largo_se_escribe(nombre, tmp_path, apuntar):
    "El provisional y el cerrojo no son más largos que el nombre, que puede ser el más largo que admite el sistema."
    with por_turno(tmp_path / nombre), de_una_vez(tmp_path / nombre) as f:
        f.write_text('entero', encoding='utf-8')
        assert len(os.fsencode(f.name)) <= max(len(os.fsencode(nombre)), 100)
    assert [p.name for p in tmp_path.iterdir()] == [nombre]
    assert al_lado(tmp_path / nombre, '.x') != al_lado(tmp_path / f'{nombre[:-1]}b', '.x')
    tabla = escala.pa.table(dict(a=[1]))
    escala.escribir_parquet([tabla], tabla.schema, str(tmp_path / nombre))
    assert [p.name for p in tmp_path.iterdir()] == [nombre]
    apuntar()


def test_enlaces_y_archivos_de_solo_lectura(tmp_path):
    "Se escribe en lo que señala un enlace, que se queda; lo que es solo de lectura no se cambia."
    (tmp_path / 'enlace').symlink_to(tmp_path / 'real.txt')
    for texto in ('uno', 'dos'):
        with de_una_vez(tmp_path / 'enlace') as f:
            f.write_text(texto)
        assert (tmp_path / 'enlace').is_symlink() and (tmp_path / 'real.txt').read_text() == texto
    (tmp_path / 'real.txt').chmod(0o444)
    for destino in ('enlace', 'real.txt'):
        with pytest.raises(PermissionError, match='solo se puede leer'), de_una_vez(tmp_path / destino) as f:
            f.write_text('tres')
    assert (tmp_path / 'real.txt').read_text() == 'dos'

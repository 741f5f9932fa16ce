"""Abrir direcciones: solo de internet, solo http y https, y con plazo y tope;
contra un servidor de esta máquina que se porta mal."""

import gzip
import os
import random
import socket
import ssl
import threading
import time
import tracemalloc
import zlib
from configparser import ConfigParser
from email.utils import formatdate
from pathlib import Path

import numpy as np
import pytest
from imagenes import dibujo, guardar
from servidor import Malo, respuesta

from img2audio.comun import imagenes
from img2audio.comun.imagenes import ImagenInvalida, abrir_imagen

PNG, PLAZO, MIB = guardar(dibujo(), 'PNG'), 0.8, 2**20
PIXELES = np.asarray(dibujo())


@pytest.fixture
def malo(monkeypatch):
    "El servidor, con un tope de 1 MiB; al acabar no quedan hilos."
    monkeypatch.setattr(imagenes, 'MAX_BYTES', MIB)
    hilos = threading.active_count()
    m = Malo()
    m.rutas['/buena.png'] = lambda c: c.sendall(respuesta(PNG))
    yield m
    m.cerrar()
    fin = time.monotonic() + 5
    while threading.active_count() > hilos and time.monotonic() < fin:
        time.sleep(0.02)
    assert threading.active_count() <= hilos


@pytest.fixture
def con_prisa(monkeypatch):
    monkeypatch.setattr(imagenes, 'ESPERA', PLAZO)


@pytest.fixture
def conexiones(monkeypatch) -> list:
    "Adónde se conecta, de verdad."
    destinos = []

    class Espia(socket.socket):
        def connect(self, destino):
            destinos.append(destino[0])
            if destino[0] != '127.0.0.1':
                raise ConnectionRefusedError('las pruebas no salen de esta máquina')
            super().connect(destino)

    monkeypatch.setattr(socket, 'socket', Espia)
    return destinos


@pytest.fixture
def nombres(monkeypatch) -> dict:
    """Un sistema de nombres de mentira: `nombres['gallo.example'] = [[una respuesta], [la siguiente]…]`;
    y cuántas veces se ha preguntado por cada uno."""
    tabla, de_verdad = {}, socket.getaddrinfo

    def getaddrinfo(nombre, puerto, *args, **kw):
        if nombre not in tabla:
            return de_verdad(nombre, puerto, *args, **kw)
        ips = tabla[nombre][0] if len(tabla[nombre]) == 1 else tabla[nombre].pop(0)
        return [
            (socket.AF_INET6 if ':' in ip else socket.AF_INET, socket.SOCK_STREAM, 6, '', (ip, puerto)) for ip in ips
        ]

    monkeypatch.setattr(socket, 'getaddrinfo', getaddrinfo)
    return tabla


@pytest.fixture
def esta_maquina_es_internet(monkeypatch):
    "Para ver qué se hace tras una redirección: de las que no son públicas, solo 127.0.0.1 pasa por una que lo es."
    de_verdad = imagenes._es_publica
    monkeypatch.setattr(imagenes, '_es_publica', lambda ip: ip == '127.0.0.1' or de_verdad(ip))


def falla(url: str, dice: str, **opciones) -> None:
    "Debe acabar en `ImagenInvalida`, a tiempo."
    inicio = time.monotonic()
    with pytest.raises(ImagenInvalida, match=dice) as e:
        abrir_imagen(url, **opciones)
    assert type(e.value) is ImagenInvalida
    assert (
        time.monotonic() - inicio < imagenes.ESPERA + 4
    )  # de sobra para una máquina ocupada: sin plazo serían los 20 s del servidor


def test_la_que_si(malo, apuntar):
    assert np.array_equal(np.asarray(abrir_imagen(f'{malo.url}/buena.png', permitir_red_local=True)), PIXELES)
    assert np.array_equal(
        np.asarray(abrir_imagen(f'  HTTP://127.0.0.1:{malo.puerto}/buena.png\n', permitir_red_local=True)), PIXELES
    )
    apuntar(2)


BOMBAS = {
    n: respuesta(f(bytes(64 * MIB)), Content_Encoding=n)
    for n, f in (('gzip', gzip.compress), ('deflate', zlib.compress))
}

# Lo que hace el servidor con cada ruta, y lo que dice el error.
TRUCOS = {
    'goteo': (lambda m, c: (c.sendall(respuesta(largo=10**6)), m.sin_parar(b'x', 0.05)(c)), 'tarda más de'),
    'goteo en la cabecera': (
        lambda m, c: (c.sendall(b'HTTP/1.1 200 OK\r\nX-'), m.sin_parar(b'x', 0.05)(c)),
        'tarda más de',
    ),
    'goteo de cabeceras': (
        lambda m, c: (c.sendall(b'HTTP/1.1 200 OK\r\n'), m.sin_parar(b'A: b\r\n', 0.05)(c)),
        'tarda más de|HTTPException',
    ),
    'goteo de trozos': (
        lambda m, c: (
            c.sendall(respuesta(Content_Length=False, Transfer_Encoding='chunked')),
            m.sin_parar(b'1\r\nx\r\n', 0.05)(c),
        ),
        'tarda más de',
    ),
    'largo de un trozo sin fin': (
        lambda m, c: (
            c.sendall(respuesta(Content_Length=False, Transfer_Encoding='chunked')),
            m.sin_parar(b'0', 0.05)(c),
        ),
        'tarda más de',
    ),
    'sigue, sigue': (lambda m, c: m.sin_parar(b'HTTP/1.1 100 Continue\r\n\r\n', 0.01)(c), 'tarda más de'),
    'mudo': (lambda m, c: m.fin.wait(20), 'tarda más de'),
    'mudo a medias': (lambda m, c: (c.sendall(respuesta(PNG[:50], largo=len(PNG))), m.fin.wait(20)), 'tarda más de'),
    'cuerpo sin fin': (
        lambda m, c: (c.sendall(respuesta(Content_Length=False)), m.sin_parar(bytes(65536))(c)),
        'pasa de 1 MiB',
    ),
    'trozos sin fin': (
        lambda m, c: (
            c.sendall(respuesta(Content_Length=False, Transfer_Encoding='chunked')),
            m.sin_parar(b'10000\r\n' + bytes(65536) + b'\r\n')(c),
        ),
        'pasa de 1 MiB',
    ),
    'trozo enorme': (
        lambda m, c: (
            c.sendall(respuesta(Content_Length=False, Transfer_Encoding='chunked') + b'ffffffffffff\r\n'),
            m.sin_parar(bytes(65536))(c),
        ),
        'pasa de 1 MiB',
    ),
    'dice diez gigas': (
        lambda m, c: (c.sendall(respuesta(largo=10**10)), m.sin_parar(bytes(65536))(c)),
        'pasa de 1 MiB',
    ),
    'cabecera sin fin': (
        lambda m, c: (c.sendall(b'HTTP/1.1 200 OK\r\nA: '), m.sin_parar(b'x' * 65536)(c)),
        'LineTooLong',
    ),
    'mil cabeceras': (lambda m, c: c.sendall(b'HTTP/1.1 200 OK\r\n' + b'A: b\r\n' * 1000 + b'\r\n'), 'HTTPException'),
    'dice más de lo que trae': (lambda m, c: c.sendall(respuesta(PNG, largo=len(PNG) + 9)), 'cortada'),
    'dice menos de lo que trae': (lambda m, c: c.sendall(respuesta(PNG, largo=len(PNG) - 40)), 'dañada'),
    'trozos cortados': (
        lambda m, c: c.sendall(respuesta(Content_Length=False, Transfer_Encoding='chunked') + b'fff\r\n' + PNG[:99]),
        'IncompleteRead',
    ),
    'trozos sin número': (
        lambda m, c: c.sendall(respuesta(Content_Length=False, Transfer_Encoding='chunked') + b'zz\r\n'),
        'IncompleteRead|ValueError',
    ),
    'cortada sin decir cuánto': (lambda m, c: c.sendall(respuesta(PNG[:-30], Content_Length=False)), 'dañada'),
    'bomba de gzip': (lambda m, c: c.sendall(BOMBAS['gzip']), 'pasa de 1 MiB'),
    'bomba de zlib': (lambda m, c: c.sendall(BOMBAS['deflate']), 'pasa de 1 MiB'),
    'gzip dos veces': (
        lambda m, c: c.sendall(respuesta(gzip.compress(gzip.compress(PNG)), Content_Encoding='gzip, gzip')),
        'codificación',
    ),
    'gzip que no lo es': (lambda m, c: c.sendall(respuesta(PNG, Content_Encoding='gzip')), 'No se pudo leer .*error'),
    'gzip cortado': (lambda m, c: c.sendall(respuesta(gzip.compress(PNG)[:-9], Content_Encoding='gzip')), 'cortada'),
    'no existe': (lambda m, c: c.sendall(respuesta(PNG, estado='404 Not Found')), 'responde 404'),
    'error del servidor': (lambda m, c: c.sendall(respuesta(PNG, estado='500 Error')), 'responde 500'),
    'sin contenido': (lambda m, c: c.sendall(respuesta(estado='204 No Content')), 'responde 204'),
    'trozo de un archivo': (lambda m, c: c.sendall(respuesta(PNG[:60], estado='206 Partial Content')), 'responde 206'),
    'vacía': (lambda m, c: c.sendall(respuesta()), 'no lo es'),
    'html que dice ser png': (
        lambda m, c: c.sendall(respuesta(b'<!doctype html><p>Hola', Content_Type='image/png')),
        'no lo es',
    ),
    'no es http': (lambda m, c: c.sendall(b'SSH-2.0-OpenSSH_9.2\r\n'), 'BadStatusLine'),
    'nada': (lambda m, c: None, 'RemoteDisconnected'),
    'bucle': (lambda m, c: c.sendall(respuesta(estado='302 Found', Location='/truco')), 'redirige más de 5 veces'),
    'redirige a ninguna parte': (
        lambda m, c: c.sendall(respuesta(estado='301 Moved Permanently')),
        'redirige más de 5 veces',
    ),
}


@pytest.mark.parametrize('truco', TRUCOS)
def test_truco(malo, truco, apuntar, request):
    hacer, dice = TRUCOS[truco]
    if 'tarda' in dice:
        request.getfixturevalue('con_prisa')
    malo.rutas['/truco'] = lambda c: hacer(malo, c)
    abiertos = len(os.listdir('/proc/self/fd')) if os.path.isdir('/proc/self/fd') else 0
    falla(f'{malo.url}/truco', dice, permitir_red_local=True)
    if truco in ('bucle', 'redirige a ninguna parte'):
        assert len(malo.pedidos) == 6
    malo.fin.set()
    fin = time.monotonic() + 5
    while abiertos and len(os.listdir('/proc/self/fd')) > abiertos and time.monotonic() < fin:
        time.sleep(0.02)
    assert not abiertos or len(os.listdir('/proc/self/fd')) <= abiertos  # la conexión se cierra
    apuntar()


BUENAS = {
    'tipo equivocado': respuesta(PNG, Content_Type='text/html'),
    'sin largo': respuesta(PNG, Content_Length=False),
    'gzip': respuesta(gzip.compress(PNG), Content_Encoding='gzip'),
    'zlib': respuesta(zlib.compress(PNG), Content_Encoding='deflate'),
    'a trozos': respuesta(
        b'%x\r\n' % len(PNG) + PNG + b'\r\n0\r\n\r\n', Content_Length=False, Transfer_Encoding='chunked'
    ),
    'tras un aviso': b'HTTP/1.1 100 Continue\r\n\r\n' + respuesta(PNG),
}


@pytest.mark.parametrize('caso', BUENAS)
def test_rara_pero_buena(malo, caso, apuntar):
    malo.rutas['/x'] = lambda c: c.sendall(BUENAS[caso])
    assert np.array_equal(np.asarray(abrir_imagen(f'{malo.url}/x', True)), PIXELES)
    apuntar()


def test_la_bomba_no_se_infla(malo):
    "64 MiB en 64 kB: no se descomprime más de lo que se acepta."
    malo.rutas['/x'] = lambda c: c.sendall(BOMBAS['gzip'])
    tracemalloc.start()
    try:
        falla(f'{malo.url}/x', 'pasa de 1 MiB', permitir_red_local=True)
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()


def test_respuestas_estropeadas(malo, apuntar):
    "Bytes cambiados en la cabecera y en el cuerpo, con semilla fija: la imagen buena o el error, y nada más."
    azar, buenas = random.Random(11), 0
    for i in range(150):
        r = bytearray(azar.choice(list(BUENAS.values())))
        for _ in range(azar.choice((1, 2, 5))):
            r[azar.randrange(len(r)) if azar.random() < 0.3 else azar.randrange(60)] = azar.randrange(256)
        malo.rutas[f'/{i}'] = lambda c, r=r: c.sendall(bytes(r))
        try:
            buenas += np.array_equal(np.asarray(abrir_imagen(f'{malo.url}/{i}', True)), PIXELES)
        except ImagenInvalida:
            continue
        finally:
            apuntar()
    assert 0 < buenas < 150


def test_cinco_redirecciones_y_ni_una_mas(malo, apuntar):
    for i in range(1, 9):
        malo.rutas[f'/{i}'] = lambda c, i=i: c.sendall(
            respuesta(estado=f'{(301, 302, 303, 307, 308)[i % 5]} Otra', Location=f'/{i - 1}')
        )
    malo.rutas['/0'] = malo.rutas['/buena.png']
    assert np.array_equal(np.asarray(abrir_imagen(f'{malo.url}/5', True)), PIXELES)
    assert malo.pedidos == ['/5', '/4', '/3', '/2', '/1', '/0']
    malo.pedidos.clear()
    falla(f'{malo.url}/6', 'redirige más de 5 veces', permitir_red_local=True)
    assert len(malo.pedidos) == 6
    apuntar(2)


def test_el_plazo_es_de_todo_el_camino(malo, con_prisa):
    "Cinco redirecciones lentas no suman cinco plazos."
    for i in range(1, 6):
        malo.rutas[f'/{i}'] = lambda c, i=i: (
            time.sleep(0.3),
            c.sendall(respuesta(estado='302 Otra', Location=f'/{i - 1}')),
        )
    falla(f'{malo.url}/5', 'tarda más de', permitir_red_local=True)
    assert len(malo.pedidos) < 5


PROHIBIDAS = [
    'http://127.0.0.1:PUERTO/',
    'http://localhost:PUERTO/',
    'http://LOCALHOST.:PUERTO/',
    'http://127.1:PUERTO/',
    'http://2130706433:PUERTO/',
    'http://0x7f000001:PUERTO/',
    'http://0177.0.0.1:PUERTO/',
    'http://0:PUERTO/',
    'http://0.0.0.0:PUERTO/',
    'http://[::1]:PUERTO/',
    'http://[::]:PUERTO/',
    'http://[::ffff:127.0.0.1]:PUERTO/',
    'http://[::ffff:7f00:1]:PUERTO/',
    'http://[64:ff9b::7f00:1]/',
    'http://10.1.2.3/',
    'http://172.16.0.1/',
    'https://192.168.1.1/',
    'http://100.64.0.1/',
    'http://169.254.169.254/latest/meta-data/',
    'http://[fe80::1]/',
    'http://[fd00::1]/',
    'http://224.0.0.1/',
    'http://255.255.255.255/',
    'http://[ff02::1]/',
    'http://[2002:7f00:1::]/',
    'http://198.18.0.1/',
    'http://240.0.0.1/',
]


@pytest.mark.parametrize('url', PROHIBIDAS)
def test_red_local(malo, conexiones, url, apuntar):
    "Ni de frente ni disfrazada; y sin llegar a conectarse."
    falla(url.replace('PUERTO', str(malo.puerto)), 'no es de internet|gaierror')
    assert conexiones == [] and malo.pedidos == []
    apuntar()


@pytest.mark.parametrize('url', [u for u in PROHIBIDAS if 'PUERTO' not in u] + ['//192.168.1.1/x.png', 'http://[::1]/'])
def test_redireccion_a_la_red_local(malo, conexiones, esta_maquina_es_internet, url, apuntar):
    malo.rutas['/x'] = lambda c: c.sendall(respuesta(estado='302 Otra', Location=url))
    falla(f'{malo.url}/x', 'no es de internet')
    assert conexiones == ['127.0.0.1'] and malo.pedidos == ['/x']
    apuntar()


@pytest.mark.parametrize(
    'url',
    [
        'file:///etc/passwd',
        'file://localhost/etc/passwd',
        'ftp://example.org/x.png',
        'gopher://127.0.0.1/',
        'data:image/png;base64,AAAA',
        'javascript:alert(1)',
        'unix:///run/docker.sock',
        'http:///x',
        'HTTP://',
    ],
)
def test_redireccion_a_otra_cosa(malo, conexiones, esta_maquina_es_internet, url, apuntar):
    malo.rutas['/x'] = lambda c: c.sendall(respuesta(estado='302 Otra', Location=url))
    falla(f'{malo.url}/x', 'solo se abren direcciones http y https|redirige más|responde 404', permitir_red_local=True)
    assert set(conexiones) == {'127.0.0.1'}
    apuntar()


@pytest.mark.parametrize(
    'url,dice',
    [
        ('file:///etc/passwd', 'solo se abren'),
        ('ftp://example.org/x.png', 'solo se abren'),
        ('gopher://example.org/', 'solo se abren'),
        ('ws://example.org/', 'solo se abren'),
        ('http://', 'solo se abren|LocationParseError'),
        ('http://ana:secreto@example.org/x.png', 'usuario o contraseña'),
        ('http://example.org:99999/', 'LocationParseError'),
        ('http://[::1', 'LocationParseError'),
        ('http://exa mple.org/', 'LocationParseError'),
        ('http://' + 'a' * 70 + '.example/', 'Error'),
        ('http://..example/', 'Error'),
        ('https://\u202e.example/', 'Error'),
        ('http://example.org\0.png/', 'LocationParseError'),
    ],
)
def test_direccion_que_no_vale(conexiones, nombres, url, dice, apuntar):
    "Ni se conecta ni pregunta por ningún nombre de fuera."
    nombres['example.org'] = [[]]
    falla(url, dice, permitir_red_local=True)
    assert conexiones == []
    apuntar()


def test_nombre_que_lleva_a_esta_maquina(malo, conexiones, nombres, apuntar):
    for ips in (['127.0.0.1'], ['93.184.216.34', '127.0.0.1'], ['::1'], ['::ffff:10.0.0.1'], ['169.254.169.254']):
        nombres['gallo.example'] = [ips]
        falla(f'http://gallo.example:{malo.puerto}/buena.png', 'gallo.example lleva a .*, que no es de internet')
        apuntar()
    assert conexiones == [] and malo.pedidos == []
    nombres['gallo.example'] = [['127.0.0.1']]
    assert np.array_equal(
        np.asarray(abrir_imagen(f'http://gallo.example:{malo.puerto}/buena.png', permitir_red_local=True)), PIXELES
    )
    assert f'Host: gallo.example:{malo.puerto}\r\n' in malo.cabeceras[-1]


def test_nombre_que_cambia_de_respuesta(malo, conexiones, nombres):
    "Contesta una dirección pública y, a la segunda pregunta, la de esta máquina: no hay segunda pregunta."
    nombres['gallo.example'] = [['93.184.216.34'], ['127.0.0.1']]
    falla(f'http://gallo.example:{malo.puerto}/buena.png', 'ConnectionRefusedError')
    assert conexiones == ['93.184.216.34'] and malo.pedidos == []
    assert nombres['gallo.example'] == [['127.0.0.1']]  # solo se preguntó una vez


def test_si_una_direccion_no_responde_se_prueba_la_siguiente(malo, conexiones, nombres, esta_maquina_es_internet):
    nombres['gallo.example'] = [['2606:2800:220:1::1', '127.0.0.1']]
    assert np.array_equal(np.asarray(abrir_imagen(f'http://gallo.example:{malo.puerto}/buena.png')), PIXELES)
    assert conexiones == ['2606:2800:220:1::1', '127.0.0.1']


def test_no_se_cuelan_cabeceras(malo):
    "Ni con saltos de línea en la dirección, ni en una redirección."
    malo.rutas['/a%0D%0AX-Colada:%20s%C3%AD'] = malo.rutas['/buena.png']
    abrir_imagen(f'{malo.url}/a\r\nX-Colada: sí', True)
    assert 'x-colada: s' not in malo.cabeceras[-1].lower().replace('%20', ' ').split('\r\n', 1)[1]


def test_dice_quien_pide(malo):
    "Producto/versión (dirección; contacto), como pide Wikimedia; y los dice `settings.ini`."
    abrir_imagen(f'{malo.url}/buena.png', True)
    ini = ConfigParser(delimiters=['='])
    ini.read(Path(__file__).parents[2] / 'settings.ini', encoding='utf-8')
    cfg = ini['DEFAULT']
    dice = f"User-Agent: {cfg['lib_name']}/{cfg['version']} ({cfg['git_url']}; {cfg['author_email']})\r\n"
    assert dice in malo.cabeceras[-1]


def saturado(veces: int, **cabeceras):
    "Un servidor que dice 429 unas veces, y después da la imagen."
    quedan = [respuesta(estado='429 Too Many Requests', **cabeceras)] * veces
    return lambda c: c.sendall(quedan.pop() if quedan else respuesta(PNG))


def test_se_espera_lo_que_pide_el_servidor(malo, monkeypatch):
    "`Retry-After`, en segundos o con una fecha; dos veces, a lo sumo."
    esperas = []
    monkeypatch.setattr(imagenes.time, 'sleep', esperas.append)
    for i, pide in enumerate(('3', formatdate(time.time() + 4, usegmt=True))):
        malo.rutas[f'/{i}'] = saturado(2, Retry_After=pide)
        assert np.array_equal(np.asarray(abrir_imagen(f'{malo.url}/{i}', True)), PIXELES)
    assert esperas[:2] == [3, 3] and len(esperas) == 4 and all(1 < e <= 4 for e in esperas[2:])
    malo.rutas['/siempre'] = saturado(9, Retry_After='1')
    malo.pedidos.clear()
    falla(f'{malo.url}/siempre', 'responde 429', permitir_red_local=True)
    assert len(malo.pedidos) == 3


@pytest.mark.parametrize(
    'cabeceras, dice',
    [
        (dict(Retry_After='600'), 'está saturado; pide esperar 600 s: repita entonces'),
        (dict(Retry_After='mañana'), 'responde 429'),
        ({}, 'responde 429'),
    ],
)
def test_lo_que_no_da_tiempo_a_esperar_se_dice(malo, cabeceras, dice):
    malo.rutas['/x'] = saturado(9, **cabeceras)
    falla(f'{malo.url}/x', dice, permitir_red_local=True)
    assert malo.pedidos == ['/x']


def test_no_se_usa_el_proxy(malo, monkeypatch):
    for v in ('http_proxy', 'HTTP_PROXY', 'all_proxy', 'https_proxy'):
        monkeypatch.setenv(v, 'http://127.0.0.1:9')
    assert np.array_equal(np.asarray(abrir_imagen(f'{malo.url}/buena.png', True)), PIXELES)


@pytest.fixture(scope='module')
def certificado(crear_certificado) -> Path:
    "Un certificado de `gallo.example`, firmado por sí mismo."
    return crear_certificado('gallo.example', '-addext', 'subjectAltName=DNS:gallo.example')


def test_https(certificado, nombres, monkeypatch, esta_maquina_es_internet, apuntar):
    "El certificado se comprueba contra el nombre que se pidió, aunque se conecte con una IP."
    import certifi

    contexto = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    contexto.load_cert_chain(certificado / 'cert.pem', certificado / 'clave.pem')
    pedidos = []
    contexto.sni_callback = lambda _, nombre, __: pedidos.append(nombre)
    m = Malo(cifrar=contexto)
    m.rutas['/x'] = lambda c: c.sendall(respuesta(PNG))
    nombres['gallo.example'] = nombres['otro.example'] = [['127.0.0.1']]
    try:
        falla(f'https://gallo.example:{m.puerto}/x', 'SSLCertVerificationError')  # nadie responde por él
        monkeypatch.setattr(certifi, 'where', lambda: str(certificado / 'cert.pem'))
        assert np.array_equal(np.asarray(abrir_imagen(f'https://gallo.example:{m.puerto}/x')), PIXELES)
        falla(f'https://otro.example:{m.puerto}/x', 'SSLCertVerificationError')  # no es su nombre
        falla(f'https://127.0.0.1:{m.puerto}/x', 'SSLCertVerificationError')
        assert pedidos[1] == 'gallo.example' and m.pedidos == ['/x']
        apuntar(4)
    finally:
        m.cerrar()


def test_apreton_de_manos_sin_fin(malo, con_prisa):
    "Un servidor que acepta la conexión y no llega a cifrarla."
    falla(f'https://127.0.0.1:{malo.puerto}/x', 'tarda más de', permitir_red_local=True)
    with socket.create_server(('127.0.0.1', 0)) as s:
        falla(f'https://127.0.0.1:{s.getsockname()[1]}/x', 'tarda más de', permitir_red_local=True)

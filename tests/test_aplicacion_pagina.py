"""La página de la aplicación, suelta en un navegador: su JavaScript y su estilo, con un núcleo de mentira. Con uno de
verdad, en JupyterLab y en Voilà, la prueba `test_aplicacion.py`."""

import base64
import contextlib
import io
import json
import threading
import wave

import numpy as np
import pytest
from PIL import Image
from test_navegador import ANCHOS, DESBORDE, accesibilidad

from img2audio.comun.sistema import ErrorDeUso
from img2audio.puertas.aplicacion import Aplicacion, Pagina, crear_ejemplos, crear_mandos
from img2audio.puertas.obrero import Avance, Cancelado, Respuesta

FICHA = dict(
    emojis={'🐶': 'perro', '🐓': 'gallo', '🌧': 'lluvia', '🌊': 'olas', '👶': 'bebé', '🔥': 'fuego'},
    segundos=5,
    pasos=10,
    guia=3.5,
)
SEGUNDOS, HZ = 4, 16_000
MARCAS = [[250, 0.1], [1000, 0.35], [4000, 0.75]]

# Lo que `anywidget` da a la página, y `pon`, que hace lo que haría el núcleo: cambiar varias cosas a la vez.
NUCLEO = """
const oyentes = {}, octetos = b64 => new DataView(Uint8Array.from(atob(b64), c => c.charCodeAt(0)).buffer);
const vacio = new DataView(new ArrayBuffer(0));
const estado = {...ESTADO, wav: vacio, espectrograma: vacio, abierta: vacio};
window.mensajes = [];
window.model = {
  get: n => estado[n],
  set: (n, v) => { estado[n] = v; },
  save_changes() {},
  send: (m, _, trozos) => mensajes.push([m, trozos?.[0]?.byteLength ?? 0]),
  on: (n, f) => (oyentes[n] ??= []).push(f),
  pon(nuevo) {
    const binarios = ["wav", "espectrograma", "abierta"];
    for (const [n, v] of Object.entries(nuevo)) estado[n] = binarios.includes(n) ? octetos(v) : v;
    for (const f of new Set(Object.keys(nuevo).flatMap(n => oyentes[`change:${n}`] ?? []))) f();
  },
  mensaje(contenido, b64) { for (const f of oyentes["msg:custom"]) f(contenido, b64 ? [octetos(b64)] : []); },
};
navigator.mediaDevices.getUserMedia = async () => {
  window.camaras = (window.camaras || 0) + 1;
  throw new DOMException("", "NotAllowedError");
};
"""
HTML = """<!DOCTYPE html><html lang="es" style="color-scheme: light dark"><meta charset="utf-8"><title>img2audio</title>
<meta name="viewport" content="width=device-width"><style>body { background: light-dark(#fff, #111); margin: 0 }</style>
<style>%s</style><body %s><h1>img2audio</h1><main class="%s"></main>
<script type="module">%s
%s
render({model, el: document.querySelector("main")});
window.lista = true;
</script>"""


def b64(octetos: bytes) -> str:
    return base64.b64encode(octetos).decode()


def wav() -> bytes:
    "Cuatro segundos: silencio, un tono flojo, uno fuerte y silencio."
    onda = np.sin(2 * np.pi * 440 * np.arange(SEGUNDOS * HZ) / HZ) * np.repeat([0, 0.2, 0.8, 0], HZ)
    tampon = io.BytesIO()
    with wave.open(tampon, 'wb') as f:
        f.setnchannels(1)
        f.setsampwidth(2)
        f.setframerate(HZ)
        f.writeframes((onda * 32767).astype('<i2').tobytes())
    return tampon.getvalue()


def png(ancho: int = 400, alto: int = 64) -> bytes:
    tampon = io.BytesIO()
    Image.new('RGB', (ancho, alto), (80, 18, 123)).save(tampon, 'PNG')
    return tampon.getvalue()


def resultado(titulo: str = '🐓 gallo') -> dict:
    "Lo que el núcleo pone en la página cuando hay sonido."
    ficha = dict(
        titulo=titulo,
        semilla=7,
        segundos=SEGUNDOS,
        cercanas=[['canta un gallo', 0.98]],
        marcas=MARCAS,
        codigo='sonorizar("🐓")',
    )
    return dict(
        resultado=ficha,
        wav=b64(wav()),
        espectrograma=b64(png()),
        actual=0,
        historia=[f'{titulo}, semilla 7', 'otro, semilla 3'],
        estado='Listo: 4,0 s.',
    )


@contextlib.contextmanager
def pagina(navegador, ancho: int = 1280, cuerpo: str = '', clase: str = '', **opciones):
    "La página, abierta; `cuerpo` son atributos de `<body>`, y `clase`, la de quien la contiene."
    mandos = crear_mandos(FICHA)
    vacia = {n: t.default_value for n, t in Pagina.class_traits(sync=True).items() if not n.startswith('_')}
    estado = {n: v for n, v in vacia.items() if isinstance(v, (str, bool, int))}
    estado |= dict(
        ejemplos=crear_ejemplos(FICHA['emojis']),
        mandos=mandos,
        resultado={},
        historia=[],
        valores={'fuente': '', **{m['nombre']: m['valor'] for m in mandos}},
    )
    html = HTML % (
        Pagina._css,
        cuerpo,
        clase,
        NUCLEO.replace('ESTADO', json.dumps(estado)),
        Pagina._esm.replace('export default {render};', ''),
    )
    contexto = navegador.new_context(viewport={'width': ancho, 'height': 900}, locale='es-ES', **opciones)
    p, fallos = contexto.new_page(), []
    p.on('pageerror', lambda e: fallos.append(str(e)))
    p.route('http://127.0.0.1/', lambda r: r.fulfill(body=html, content_type='text/html; charset=utf-8'))
    try:
        p.goto('http://127.0.0.1/')
        p.wait_for_function('window.lista')
        yield p
        assert fallos == []
    finally:
        contexto.close()


def sonar(p, **cambios) -> None:
    "Pone un resultado, y espera a que se oiga y se vea."
    p.evaluate('x => model.pon(x)', {**resultado(), **cambios})
    p.wait_for_function("document.querySelector('.i2a audio').duration > 0")
    p.wait_for_function("document.querySelector('.i2a-toda path').getAttribute('d')")


def segundo(p) -> float:
    return p.evaluate("document.querySelector('.i2a audio').currentTime")


@pytest.mark.parametrize('esquema', ['light', 'dark'])
@pytest.mark.parametrize('ancho', ANCHOS)
def test_columnas_y_accesibilidad(navegador, ancho, esquema):
    "Dos columnas a 1280 px y una a 390; vacía y llena, nada se desborda ni incumple axe, en claro y en oscuro."
    with pagina(navegador, ancho, color_scheme=esquema) as p:
        assert p.evaluate(DESBORDE) == [] and accesibilidad(p) == []
        p.get_by_role('button', name='gallo').click()
        sonar(p)
        for abrir in p.locator('summary').all():
            abrir.click()
        p.get_by_role('textbox', name='Texto (opcional)').fill('llueve')
        entra, sale = (p.locator(f'.i2a-columnas > {c}').bounding_box() for c in ('form', 'section'))
        if ancho == 390:
            assert sale['y'] >= entra['y'] + entra['height'] and sale['width'] == entra['width']
        else:
            assert sale['y'] == entra['y'] and sale['x'] >= entra['x'] + entra['width']
        assert p.evaluate(DESBORDE) == [] and accesibilidad(p) == []


def fondo(p) -> int:
    "Lo claro que es el fondo de las columnas, de 0 a 255."
    return p.locator('.i2a-columnas > form').evaluate('e => +getComputedStyle(e).backgroundColor.match(/\\d+/)[0]')


def test_temas(navegador):
    "En la página propia manda lo que prefiera el sistema; en JupyterLab, su tema."
    for esquema, claro in (('light', True), ('dark', False)):
        with pagina(navegador, color_scheme=esquema, cuerpo='data-jp-theme-light="true"') as p:  # como en Voilà
            assert (fondo(p) > 200) == claro and (fondo(p) < 60) != claro
        for tema in ('true', 'false'):
            with pagina(
                navegador, color_scheme=esquema, cuerpo=f'data-jp-theme-light="{tema}"', clase='jp-NotebookPanel'
            ) as p:
                assert (fondo(p) > 200) == (tema == 'true'), (esquema, tema)


def test_cada_mando_tiene_nombre_y_ayuda(navegador):
    "Su nombre, y una ayuda que el navegador asocia a él; y los números, entre sus topes."
    with pagina(navegador) as p:
        p.locator('summary', has_text='Más mandos').click()
        for m in crear_mandos(FICHA):
            papel = {'texto': 'textbox', 'entero': 'spinbutton'}.get(m.get('tipo'), 'slider')
            mando = p.get_by_role(papel, name=m['leyenda'], exact=True, include_hidden=True)
            assert (
                mando.evaluate('e => document.getElementById(e.getAttribute("aria-describedby")).textContent')
                == (m['ayuda'])
            )
            if papel != 'textbox':
                assert [mando.get_attribute(a) for a in ('min', 'max')] == [str(m['min']), str(m['max'])]
        pasos = p.get_by_role('slider', name='Pasos')
        pasos.press('ArrowRight')
        assert pasos.get_attribute('aria-valuetext') == '11'


def test_lo_que_se_manda(navegador):
    "Al pulsar viajan los valores, y la orden; mientras se genera, solo se puede cancelar."
    with pagina(navegador) as p:
        p.get_by_role('button', name='gallo').click()
        p.get_by_role('textbox', name='Texto (opcional)').fill(' llueve ')
        p.get_by_role('slider', name='Imagen ↔ texto').press('Home')
        p.get_by_role('slider', name='Duración').press('End')
        p.locator('summary', has_text='Más mandos').click()
        p.get_by_role('spinbutton', name='Semilla').fill('12')
        p.get_by_role('button', name='Sonorizar', exact=True).click()
        assert p.evaluate('mensajes') == [[{'sonorizar': True}, 0]]
        valores = p.evaluate('model.get("valores")')
        assert {n: valores[n] for n in ('fuente', 'texto', 'peso_texto', 'segundos', 'semilla', 'pasos')} == dict(
            fuente='🐓', texto='llueve', peso_texto=0, segundos=20, semilla=12, pasos=10
        )
        p.evaluate('model.pon({ocupada: true, estado: "Un momento…"})')
        assert p.get_by_role('button', name='Sonorizar', exact=True).is_disabled()
        assert p.evaluate('document.activeElement.textContent') == 'Cancelar'  # el foco no se pierde
        p.get_by_role('textbox', name='Texto (opcional)').press('Enter')  # ni así se pide dos veces
        p.get_by_role('button', name='Cancelar', exact=True).click()
        assert p.evaluate('mensajes').count([{'sonorizar': True}, 0]) == 1
        assert p.evaluate('mensajes')[-1] == [{'cancelar': True}, 0]
        p.get_by_role('button', name='Otra al azar').click()
        assert p.get_by_role('spinbutton', name='Semilla').input_value() != '12'


def test_la_imagen(navegador):
    "Se ve una sola vez, venga de donde venga; manda lo último que se tocó, y la cámara no se abre sola."
    with pagina(navegador) as p:
        vista = p.get_by_alt_text('La imagen elegida')
        assert not vista.is_visible()
        gallo = p.get_by_role('button', name='gallo')
        gallo.click()
        assert p.get_by_role('textbox', name='Emoji o dirección').input_value() == '🐓'
        assert gallo.get_attribute('aria-pressed') == 'true' and vista.is_visible()
        subida = {'name': 'foto.png', 'mimeType': 'image/png', 'buffer': png(30, 20)}
        p.locator('.i2a-zona input[type=file]').set_input_files(subida)
        p.wait_for_function('mensajes.length')
        assert p.evaluate('mensajes') == [[{'nombre': 'foto.png'}, len(png(30, 20))]]
        p.evaluate('model.pon({nombre: "foto.png"})')
        assert p.get_by_role('textbox', name='Emoji o dirección').input_value() == ''
        assert gallo.get_attribute('aria-pressed') == 'false'
        assert vista.evaluate('async e => { await e.decode(); return e.naturalWidth; }') == 30
        p.locator('.i2a-zona input[type=file]').set_input_files({**subida, 'buffer': png(60, 20)})
        p.wait_for_function('mensajes.length == 2')
        assert vista.evaluate('async e => { await e.decode(); return e.naturalWidth; }') == 60
        sonar(p)
        assert p.locator('.i2a img:visible').count() == 1 + 6 + 1  # ella, los ejemplos y el espectrograma
        p.get_by_role('textbox', name='Emoji o dirección').fill('https://ejemplo.es/a.png')
        assert p.evaluate('mensajes').pop() == [{'quitar': True}, 0]
        p.evaluate(
            'x => model.pon(x)', dict(nombre='', abierta_de='https://ejemplo.es/a.png', abierta=b64(png(50, 50)))
        )
        assert vista.evaluate('async e => { await e.decode(); return e.naturalWidth; }') == 50
        p.get_by_role('button', name='Pegar', exact=True).click()
        p.get_by_text('No hay permiso para leer el portapapeles.').wait_for()
        assert p.evaluate('window.camaras') is None
        p.get_by_role('button', name='Cámara', exact=True).click()
        p.get_by_text('No hay permiso para usar la cámara.').wait_for()
        assert p.evaluate('window.camaras') == 1


def test_buscar_en_la_onda(navegador):
    "Pulsando, arrastrando y con el teclado, sobre la onda y sobre el espectrograma."
    with pagina(navegador) as p:
        sonar(p)
        pista = p.get_by_role('slider', name='Por dónde va el sonido')
        caja = pista.bounding_box()
        for donde in (0.1, 0.9):  # en la onda, arriba, y en el espectrograma, abajo
            x, y = caja['x'] + 0.25 * caja['width'], caja['y'] + donde * caja['height']
            p.mouse.click(x, y)
            assert abs(segundo(p) - 1) < 0.02
            p.mouse.down()
            p.mouse.move(x + 0.5 * caja['width'], y, steps=4)
            assert abs(segundo(p) - 3) < 0.02
            p.mouse.up()
            p.mouse.move(x, y)  # ya no se arrastra
            assert abs(segundo(p) - 3) < 0.02
        assert pista.get_attribute('aria-valuetext') == '3,0 de 4,0 segundos'
        for tecla, esperado in (('ArrowLeft', 2.5), ('PageDown', 0.5), ('PageUp', 2.5), ('Home', 0), ('End', 4)):
            pista.press(tecla)
            assert abs(segundo(p) - esperado) < 0.02, tecla
        pista.press('Home')
        pista.press(' ')
        p.wait_for_function("document.querySelector('.i2a audio').currentTime > .2")
        p.get_by_role('button', name='Pausa').click()
        p.get_by_role('button', name='Escuchar').wait_for()
        assert p.get_by_role('button', name='Escuchar').is_visible()
        va = float(pista.evaluate('e => e.style.getPropertyValue("--va")'))
        assert abs(va * SEGUNDOS - segundo(p)) < 0.1  # la aguja, donde suena


def test_onda_y_ejes(navegador):
    "La onda es la del sonido; los hercios están a su altura, y los segundos, en su sitio."
    with pagina(navegador) as p:
        sonar(p)
        altos = p.evaluate("""[...document.querySelector('.i2a-toda path').getAttribute('d')
            .matchAll(/[ML]([\\d.]+) (-?[\\d.]+)/g)].slice(0, 400).map(m => -m[2])""")
        cuartos = np.abs(np.reshape(altos, (4, 100)))
        assert np.allclose(cuartos[:, 5:-5].max(1), [0, 0.25, 1, 0], atol=0.02)
        mel = p.locator('.i2a-mel').bounding_box()
        for hz, altura in MARCAS:
            caja = p.locator('.i2a-hz span', has_text=str(hz)).bounding_box()
            centro = 1 - (caja['y'] + caja['height'] / 2 - mel['y']) / mel['height']
            assert abs(centro - altura) < 0.02
        for s in range(SEGUNDOS + 1):
            caja = p.locator('.i2a-s span').nth(s).bounding_box()
            assert abs((caja['x'] + caja['width'] / 2 - mel['x']) / mel['width'] - s / SEGUNDOS) < 0.01


def test_marcha_y_cola(navegador):
    "El puesto en la cola y los errores se anuncian; los pasos, que cambian mucho, van con la barra."
    with pagina(navegador) as p:
        barra, dice, mal = (p.locator(f'.i2a {s}') for s in ('progress', '[role=status]', 'section [role=alert]'))
        cola = str(Avance('cola', delante=2))
        p.evaluate('x => model.pon(x)', dict(ocupada=True, estado=cola))
        assert dice.inner_text() == cola and 'va usted la tercera' in cola
        assert barra.is_visible() and barra.get_attribute('value') is None
        paso = str(Avance('generando', paso=3, pasos=8, quedan=4))
        p.evaluate('x => model.pon(x)', dict(estado='Generando…', paso=3, pasos=8, frase=paso))
        assert barra.evaluate('e => [e.value, e.max]') == [3, 8]
        assert p.get_by_text('Paso 3 de 8; quedan 4 s.').is_visible() and dice.inner_text() == 'Generando…'
        p.evaluate('x => model.pon(x)', dict(ocupada=False, error=True, estado='No se pudo sonorizar.'))
        assert not barra.is_visible() and [dice.inner_text(), mal.inner_text()] == ['', 'No se pudo sonorizar.']


def test_descargas_e_historia(navegador):
    "El WAV y la lámina, con un nombre que dice qué son; lo de antes se vuelve a oír, y nada de lo escrito es HTML."
    with pagina(navegador, permissions=['clipboard-read', 'clipboard-write']) as p:
        sonar(p)
        with p.expect_download() as bajada:
            p.get_by_role('button', name='Descargar el WAV').click()
        assert bajada.value.suggested_filename == 'img2audio-gallo-7.wav'
        with open(bajada.value.path(), 'rb') as f:
            assert f.read() == wav()
        lamina = p.get_by_role('button', name='Descargar la lámina')
        lamina.click()
        pedida = {'lamina': 'img2audio-gallo-7.png'}
        assert p.evaluate('mensajes') == [[pedida, 0]] and lamina.is_disabled()
        with p.expect_download() as bajada:
            p.evaluate('([m, x]) => model.mensaje(m, x)', [pedida, b64(png())])
        assert bajada.value.suggested_filename == pedida['lamina'] and lamina.is_enabled()
        actual, otro = p.locator('.i2a section ul button').all()
        assert actual.get_attribute('aria-current') == 'true' and otro.get_attribute('aria-current') is None
        otro.click()
        assert p.evaluate('mensajes')[-1] == [{'oir': 1}, 0]
        p.locator('summary', has_text='Lo mismo, en Python').click()
        p.get_by_role('button', name='Copiar', exact=True).click()
        p.get_by_role('button', name='Copiado', exact=True).wait_for()
        assert p.evaluate('navigator.clipboard.readText()') == resultado()['resultado']['codigo']
        malo = '<img src=x onerror="window.colado = 1">'
        sonar(p, **{**resultado(malo), 'estado': malo})
        assert p.get_by_role('heading', name=malo).is_visible() and p.evaluate('window.colado') is None


# El nombre de lo que tiene el foco, y los píxeles de su marco
SENALADO = """() => {
  const e = document.activeElement, s = getComputedStyle(e);
  const nombre = e.getAttribute('aria-label') || e.labels?.[0]?.textContent || e.textContent;
  return [nombre, s.outlineStyle === 'solid' ? parseFloat(s.outlineWidth) : 0];
}"""


def test_foco_visible(navegador):
    "Con el tabulador se llega a todo lo que se puede usar, y se ve dónde se está."
    with pagina(navegador) as p:
        p.get_by_role('button', name='gallo').click()
        sonar(p)
        vistos = set()
        p.evaluate('document.activeElement.blur()')
        for _ in range(40):
            p.keyboard.press('Tab')
            donde, marco = p.evaluate(SENALADO)
            if not p.evaluate("document.querySelector('.i2a').contains(document.activeElement)"):
                continue
            assert marco >= 2, donde
            vistos.add(donde.strip())
        esperados = {'Imagen', 'Elegir un archivo', 'Quitar', 'gallo', 'Emoji o dirección', 'Duración', 'Más mandos'}
        esperados |= {'Sonorizar', 'Escuchar', 'Repetir', 'Volumen', 'Por dónde va el sonido', 'Descargar el WAV'}
        assert esperados <= vistos


class TallerFingido:
    "Un taller que responde lo que se le dice, sin modelos."

    def __init__(self, *respuestas):
        self.respuestas, self.pedidos, self.cancelado = list(respuestas), [], False

    def ficha(self):
        return FICHA

    def cancelar(self):
        self.cancelado = True

    def pedir(self, imagen, texto, opciones, al_avanzar):
        self.pedidos.append((imagen, texto, opciones))
        al_avanzar(Avance('generando', paso=1, pasos=2, quedan=1))
        r = self.respuestas.pop(0)
        if isinstance(r, Exception):
            raise r
        return r

    def lamina(self, respuesta, titulo):
        return f'lámina de {titulo}'.encode()


def respuesta(n: int = 0, **cambios) -> Respuesta:
    datos = dict(
        wav=bytes([n]), segundos=1.0, semilla=n, cercanas=[], avisos=[], espectrograma=b'', marcas=[], imagen=b'PNG'
    )
    return Respuesta(**{**datos, **cambios})


def test_la_aplicacion_pide_y_recuerda():
    "Al taller llega lo que dicen los mandos; la historia recuerda cinco, y de cada uno su lámina."
    app = Aplicacion(taller=TallerFingido(*map(respuesta, range(7))))
    enviado = []
    app.pagina.send = lambda contenido, trozos=None: enviado.append((contenido, trozos))
    app.poner(fuente='🐓', texto='llueve', pasos=4)
    assert app.generar().wav == bytes([0])
    opciones = dict(peso_texto=0.5, segundos=5, pasos=4, guia=3.5, elegir_mejor_de=1, semilla=0)
    assert app.taller.pedidos == [('🐓', 'llueve', opciones)]
    assert (app.pagina.abierta_de, app.pagina.abierta) == ('🐓', b'PNG')
    antes = app.pagina.valores
    app.subir('a.png', b'123')
    assert app.pagina.valores is antes  # lo que se esté escribiendo en la página no se toca
    app.poner(texto='')
    for _ in range(6):
        app.generar()
    assert app.taller.pedidos[-1][:2] == (b'123', None) and 'peso_texto' not in app.taller.pedidos[-1][2]
    assert [r.semilla for _, r, _ in app.historia] == [6, 5, 4, 3, 2] and app.pagina.abierta == b''
    app.recibir(dict(oir=3), [])
    assert (app.pagina.wav, app.pagina.actual) == (bytes([3]), 3)
    app._lamina(dict(lamina='x.png'))
    assert enviado == [(dict(lamina='x.png'), ['lámina de a.png'.encode()])]


@pytest.mark.parametrize(
    'fallo, dice',
    [
        (ErrorDeUso('Falta algo.'), 'No se pudo sonorizar. Falta algo.'),
        (Cancelado(), 'Cancelado.'),
        (ValueError('shapes'), 'Ha fallado algo que no se esperaba'),
    ],
)
def test_la_aplicacion_dice_que_va_mal(fallo, dice):
    "Y, pase lo que pase, se puede volver a pulsar."
    app = Aplicacion(taller=TallerFingido(fallo, respuesta()))
    inesperado = pytest.raises(ValueError) if type(fallo) is ValueError else contextlib.nullcontext()
    with inesperado:
        app.generar()
    assert app.pagina.estado.startswith(dice) and app.pagina.error != isinstance(fallo, Cancelado)
    assert not app.pagina.ocupada and not app.historia
    app.poner(fuente='🐓')
    assert app.generar() and app.pagina.estado == 'Listo: 1,0 s.' and not app.pagina.error


def test_lo_ultimo_que_se_dice_es_que_se_cancelo():
    "Aunque el taller corte antes de que vuelva quien se lo pidió."
    app = Aplicacion(taller=TallerFingido())
    corta = threading.Event()

    def pedir(*_):
        corta.wait(10)
        raise Cancelado

    def cancelar():
        corta.set()
        app.esperar(10)

    app.taller.pedir, app.taller.cancelar = pedir, cancelar
    app.pulsar()
    app.recibir(dict(cancelar=True), [])
    assert app.pagina.estado == 'Cancelado.' and not app.pagina.ocupada

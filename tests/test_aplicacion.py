"""La aplicación en un navegador de verdad, sin red: su cuaderno en JupyterLab, y la página de Voilà que abre
`img2audio_app`."""

import base64
import contextlib
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest
from PIL import Image
from test_navegador import ANCHOS, DESBORDE, SONIDOS, accesibilidad

from img2audio.puertas.obrero import TallerLocal

RAIZ = Path(__file__).resolve().parents[1]
DIBUJO = RAIZ / 'img2audio' / 'dibujos' / 'twemoji' / 'rooster' / 'gallo.png'
PACIENCIA = 240_000  # milisegundos: en una máquina cargada, abrir JupyterLab e importar los modelos lleva su tiempo
# Suelta en la zona de la imagen los archivos dados, como haría el ratón.
SOLTAR = """([zona, archivos]) => {
  const dt = new DataTransfer(), octetos = b64 => Uint8Array.from(atob(b64), c => c.charCodeAt(0));
  for (const [nombre, b64] of archivos) dt.items.add(new File([octetos(b64)], nombre, {type: 'image/png'}));
  zona.dispatchEvent(new DragEvent('drop', {dataTransfer: dt, bubbles: true, cancelable: true}));
}"""
# Lo que suena, resumido
HUELLA = """async () => {
  const wav = await (await fetch(document.querySelector('audio').src)).arrayBuffer();
  return String(new Uint8Array(await crypto.subtle.digest('SHA-256', wav)));
}"""
AL_PORTAPAPELES = """b64 => {
  const octetos = Uint8Array.from(atob(b64), c => c.charCodeAt(0));
  return navigator.clipboard.write([new ClipboardItem({'image/png': new Blob([octetos], {type: 'image/png'})})]);
}"""


def puerto_libre() -> int:
    with socket.create_server(('127.0.0.1', 0)) as s:
        return s.getsockname()[1]


@contextlib.contextmanager
def servidor(orden: list[str], carpeta: Path, puerto: int):
    """Un servidor de Jupyter en 127.0.0.1, sin nada de la configuración de quien prueba;
    al acabar, se para como lo pararía Ctrl-C."""
    carpetas = {f'JUPYTER_{n}_DIR': str(carpeta / n.lower()) for n in ('CONFIG', 'DATA', 'RUNTIME')}
    entorno = {
        **os.environ,
        **carpetas,
        'IPYTHONDIR': str(carpeta / 'ipython'),
        'JUPYTERLAB_SETTINGS_DIR': str(carpeta / 'ajustes'),
        'JUPYTERLAB_WORKSPACES_DIR': str(carpeta / 'espacios'),
        'HF_HUB_OFFLINE': '1',
        'OMP_NUM_THREADS': '1',
        'TMPDIR': str(carpeta),
    }
    with (carpeta / 'registro.txt').open('w') as registro:
        p = subprocess.Popen(
            orden, cwd=carpeta, env=entorno, stdout=registro, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            for _ in range(PACIENCIA // 200):
                if p.poll() is not None:
                    pytest.fail((carpeta / 'registro.txt').read_text()[-3000:])
                try:
                    socket.create_connection(('127.0.0.1', puerto), timeout=1).close()
                except OSError:
                    time.sleep(0.2)
                else:
                    break
            yield p
            p.send_signal(signal.SIGTERM)
            assert p.wait(90) is not None
        finally:
            try:
                os.killpg(p.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


@contextlib.contextmanager
def pestana(navegador, direccion: str, ancho: int = 1280, **opciones):
    "Una página abierta, y las peticiones que quisieron salir de este equipo."
    contexto = navegador.new_context(
        viewport={'width': ancho, 'height': 1400},
        locale='es-ES',
        permissions=['clipboard-read', 'clipboard-write', 'camera'],
        **opciones,
    )
    contexto.set_default_timeout(PACIENCIA)
    pagina, fuera = contexto.new_page(), []
    pagina.on(
        'request',
        lambda r: (
            None
            if r.url.startswith((direccion, direccion.replace('http', 'ws', 1), 'data:', 'blob:'))
            else fuera.append(r.url)
        ),
    )
    try:
        yield pagina, fuera
    finally:
        contexto.close()


def pulsar(pagina, boton: str) -> None:
    pagina.get_by_role('button', name=boton, exact=True).click()


def estado(pagina, texto: str) -> None:
    "Espera a que el renglón de estado diga `texto`."
    pagina.locator('[role=status], [role=alert]').filter(has_text=texto).first.wait_for()


def mas_mandos(pagina) -> None:
    pagina.locator('summary', has_text='Más mandos').click()


def oir(pagina, cuantos: int) -> None:
    "Hay tantos reproductores, ninguno calla, y duran lo que dicen."
    sonidos = pagina.evaluate(SONIDOS)
    assert len(sonidos) == cuantos
    for s in sonidos:
        assert s['eficaz'] > 1e-3 and s['promesa']
        assert abs(s['muestras'] - float(s['promesa'])) < 0.15 and abs(s['reproductor'] - s['muestras']) < 0.15


@pytest.fixture
def lab(tmp_path):
    """La dirección de un JupyterLab con el cuaderno de la aplicación, hasta la celda que la abre:
    las demás las prueba nbdev."""
    nb = json.loads((RAIZ / 'nbs' / 'puertas' / 'aplicacion.ipynb').read_text(encoding='utf-8'))
    n = next(i for i, c in enumerate(nb['cells']) if ''.join(c['source']) == 'aplicacion()')
    (tmp_path / 'cuadernos' / 'puertas').mkdir(parents=True)
    (tmp_path / 'cuadernos' / 'puertas' / 'aplicacion.ipynb').write_text(
        json.dumps({**nb, 'cells': nb['cells'][: n + 1]}), encoding='utf-8'
    )
    puerto, clave = puerto_libre(), os.urandom(16).hex()
    orden = [
        sys.executable,
        '-m',
        'jupyterlab',
        '--no-browser',
        '--ServerApp.ip=127.0.0.1',
        f'--ServerApp.port={puerto}',
        '--ServerApp.port_retries=0',
        f'--IdentityProvider.token={clave}',
        f'--ServerApp.root_dir={tmp_path / "cuadernos"}',
        '--expose-app-in-browser',
        '--LabApp.news_url=None',
        '--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate',
    ]
    if hasattr(os, 'geteuid') and os.geteuid() == 0:
        orden.append('--allow-root')
    with servidor(orden, tmp_path, puerto):
        yield f'http://127.0.0.1:{puerto}/lab/tree/puertas/aplicacion.ipynb?token={clave}'


def test_en_jupyterlab(navegador, lab):
    "Se abre el cuaderno, se sube una imagen, se pulsa y se oye; se cancela; y un archivo roto lo dice."
    with pestana(navegador, lab.partition('/lab')[0]) as (pagina, _):
        pagina.goto(lab, wait_until='commit')
        pagina.wait_for_function(
            "window.jupyterapp?.shell.currentWidget?.context?.isReady && "
            "window.jupyterapp.shell.currentWidget.sessionContext?.session?.kernel?.connectionStatus === 'connected'"
        )
        pagina.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
        archivo = pagina.locator('.i2a-zona input[type=file]')
        archivo.wait_for(state='attached')

        archivo.set_input_files(DIBUJO)
        pagina.get_by_alt_text('La imagen elegida').wait_for()
        pulsar(pagina, 'Sonorizar')
        estado(pagina, 'Listo: 5,0 s.')
        oir(pagina, 1)
        with pagina.expect_download() as bajada:
            pulsar(pagina, 'Descargar el WAV')
        assert bajada.value.suggested_filename == 'img2audio-gallo-png-0.wav'
        assert Path(bajada.value.path()).read_bytes()[:4] == b'RIFF'
        with pagina.expect_download() as bajada:
            pulsar(pagina, 'Descargar la lámina')
        assert Path(bajada.value.path()).read_bytes()[1:4] == b'PNG'

        mas_mandos(pagina)
        pagina.get_by_role('slider', name='Pasos').press('End')  # 200
        pulsar(pagina, 'Sonorizar')
        estado(pagina, 'Generando…')
        pulsar(pagina, 'Cancelar')
        estado(pagina, 'Cancelado.')
        assert pagina.locator('.i2a progress').evaluate('e => e.position') < 0.9  # no llegó al final
        oir(pagina, 1)

        archivo.set_input_files({'name': '../../rota.png', 'mimeType': 'image/png', 'buffer': b'esto no es una imagen'})
        pulsar(pagina, 'Sonorizar')
        estado(pagina, 'No se pudo sonorizar. No se pudo abrir lo recibido como imagen')
        assert pagina.get_by_role('button', name='Sonorizar', exact=True).is_enabled()


def orden_de(proceso: psutil.Process) -> list[str]:
    "La orden con que se lanzó; de uno que ya ha muerto, ninguna."
    try:
        return proceso.cmdline()
    except psutil.NoSuchProcess:  # o un zombi, que es uno de esos
        return []


def servidor_de(app: str) -> psutil.Process:
    "El proceso que sirve en esa dirección, de los que ha lanzado este."
    puerto = app.rsplit(':', 1)[1].strip('/')
    (servidor,) = (h for h in psutil.Process().children() if puerto in orden_de(h))
    return servidor


def procesos(app: str, orden: str) -> list[psutil.Process]:
    "Los procesos que cuelgan de `img2audio_app` y llevan eso en su orden."
    return [h for h in servidor_de(app).children(recursive=True) if orden in ' '.join(orden_de(h))]


def hasta_que(condicion, segundos: float = 120) -> None:
    "Espera a que se cumpla."
    fin = time.monotonic() + segundos
    while not condicion():
        assert time.monotonic() < fin, 'no llega a cumplirse'
        time.sleep(0.1)


@pytest.fixture(scope='module')
def app(tmp_path_factory):
    """La dirección de `img2audio_app`, arrancada lejos del repositorio; y al acabar, que se para sin dejar nada, y que
    todo lo que dijo estaba en español."""
    carpeta = tmp_path_factory.mktemp('sin_repositorio')
    puerto, orden = puerto_libre(), Path(sys.executable).with_name('img2audio_app')
    direccion = f'http://127.0.0.1:{puerto}/'
    with servidor([str(orden), '--sin_navegador', '--puerto', str(puerto)], carpeta, puerto) as p:
        yield direccion
        obreros = procesos(direccion, 'puertas.obrero')
        assert len(obreros) == 1
    assert p.returncode == 0 and list(carpeta.glob('tmp*/*.ipynb')) == []
    hasta_que(lambda: not obreros[0].is_running())
    with pytest.raises(OSError):
        socket.create_connection(('127.0.0.1', puerto), timeout=1)
    dicho = (carpeta / 'registro.txt').read_text(encoding='utf-8').splitlines()
    caido = 'img2audio: el proceso que genera los sonidos se ha parado; se levanta otro.'
    esta = f'img2audio está en {direccion} (Ctrl-C para acabar).'
    assert [x for x in dicho if x != caido] == ['Preparando img2audio…', esta, 'img2audio se ha cerrado.']


def test_en_voila(navegador, app, tmp_path):
    "La página propia: emoji, soltar, pegar y cámara; se oye, nada se desborda, y nada sale de este equipo."
    capturas = Path(os.environ.get('CAPTURAS') or tmp_path)
    capturas.mkdir(parents=True, exist_ok=True)
    with pytest.raises(urllib.error.HTTPError, match='403'):  # otra página no puede hacerse pasar por esta
        urllib.request.urlopen(urllib.request.Request(app, headers={'Host': 'otra.example'}), timeout=120)
    datos = base64.b64encode(DIBUJO.read_bytes()).decode()
    with pestana(navegador, app) as (pagina, fuera):
        pagina.goto(app, wait_until='commit')
        zona, vista = pagina.locator('.i2a-zona'), pagina.get_by_alt_text('La imagen elegida')
        zona.wait_for()
        assert pagina.evaluate('[document.documentElement.lang, document.title]') == ['es', 'img2audio']

        zona.evaluate(f'(zona, a) => ({SOLTAR})([zona, a])', [['a.png', datos], ['b.png', datos]])
        zona.get_by_text('Solo una imagen cada vez.').wait_for()
        zona.evaluate(f'(zona, a) => ({SOLTAR})([zona, a])', [['a.png', datos]])
        vista.wait_for()
        subida = vista.get_attribute('src')
        pagina.get_by_role('button', name='🐓').click()  # el ejemplo quita la imagen, y se ve en su sitio
        pagina.locator('img[alt^="La imagen elegida"][src^="data:image/png"]').wait_for()
        assert subida.startswith('blob:')
        pulsar(pagina, 'Quitar')
        vista.wait_for(state='hidden')
        pagina.evaluate(AL_PORTAPAPELES, datos)
        zona.focus()
        zona.press('Control+v')
        vista.wait_for()
        pulsar(pagina, 'Quitar')
        vista.wait_for(state='hidden')
        pulsar(pagina, 'Cámara')
        pagina.wait_for_function("document.querySelector('.i2a-zona video').videoWidth > 0")
        pulsar(pagina, 'Hacer la foto')
        vista.wait_for()
        pagina.locator('.i2a-zona input[type=file]').set_input_files(
            {'name': 'grande.png', 'mimeType': 'image/png', 'buffer': bytes(9 * 2**20)}
        )
        zona.get_by_text('más de 8 MiB').wait_for()

        for semilla in (0, 2):
            pagina.locator('.i2a-zona input[type=file]').set_input_files(DIBUJO)
            if semilla:  # la primera vez, con los mandos cerrados, como al llegar: así sale en la captura
                mas_mandos(pagina)
                pagina.get_by_role('spinbutton', name='Semilla').fill(str(semilla))
            pulsar(pagina, 'Sonorizar')
            pagina.get_by_role('heading', name=f'gallo.png, semilla {semilla}').wait_for()
            estado(pagina, 'Listo: 5,0 s.')
            oir(pagina, 1)
            if not semilla:
                pagina.set_viewport_size({'width': 1280, 'height': 1000})
                for _ in range(4):
                    pagina.get_by_role('slider', name='Por dónde va el sonido').press('ArrowRight')
                pagina.evaluate('document.activeElement.blur()')
                vista_entera = Image.open(io.BytesIO(pagina.locator('.i2a').screenshot()))
                vista_entera.quantize(256).save(capturas / 'aplicacion.png', optimize=True)
        assert fuera == []
        mas_mandos(pagina)
        for tema in ('light', 'dark'):
            pagina.emulate_media(color_scheme=tema)
            for ancho in ANCHOS:
                pagina.set_viewport_size({'width': ancho, 'height': 1900})
                pagina.screenshot(path=capturas / f'aplicacion-{ancho}-{tema}.jpg', type='jpeg', quality=60)
                assert pagina.evaluate(DESBORDE) == [] and accesibilidad(pagina) == []


@pytest.mark.skipif(
    os.environ.get('IMG2AUDIO_LARGO') != '1', reason='dura más de cinco minutos: se pide con IMG2AUDIO_LARGO=1'
)
def test_ocho_en_voila(navegador, app):
    "Ocho visitas a la vez durante cinco minutos: ningún error, cada una oye siempre lo suyo, y la memoria no crece."
    servidor = servidor_de(app)
    emojis = '🐶🐓🌧🌊👶⏰🤧🚁'

    def ocupa():
        return sum(h.memory_full_info().pss for h in (servidor, *servidor.children(recursive=True)))

    with contextlib.ExitStack() as pila:
        paginas = [pila.enter_context(pestana(navegador, app))[0] for _ in emojis]
        for p, e in zip(paginas, emojis, strict=True):
            p.goto(app, wait_until='commit')
            p.get_by_role('textbox', name='Emoji o dirección').fill(e)
            mas_mandos(p)

        def ronda(semilla: int) -> list[str]:
            "El WAV que recibe cada visita, pidiendo todas a la vez."
            for p in paginas:
                p.get_by_role('spinbutton', name='Semilla').fill(str(semilla))
                pulsar(p, 'Sonorizar')
            for p, e in zip(paginas, emojis, strict=True):
                p.get_by_role('heading', name=re.compile(f'^{e}.*, semilla {semilla}$')).wait_for()
                estado(p, 'Listo: 5,0 s.')
            return [p.evaluate(HUELLA) for p in paginas]

        oido, memoria, hasta = [ronda(0)], [], time.monotonic() + 300  # con los modelos ya cargados
        while time.monotonic() < hasta:
            oido.append(ronda(len(oido)))
            memoria.append(ocupa())
        assert ronda(0) == oido[0]
    todos = [wav for r in oido for wav in r]
    assert len(set(todos)) == len(todos)  # nadie oye lo de otro
    print(
        f'\n{len(todos) + 8} sonidos, sin errores; el servidor y sus núcleos, {memoria[4] / 2**20:.0f} MiB con '
        f'la historia llena y {memoria[-1] / 2**20:.0f} MiB al acabar'
    )
    assert memoria[-1] <= 1.05 * memoria[4]


# Lo que no cabe en el núcleo de una visita
PESADOS = ('torch', 'diffusers', 'transformers', 'datasets', 'pandas', 'matplotlib')
LIGERA = f"""
import sys
from img2audio.puertas.aplicacion import aplicacion
aplicacion()
print([m for m in {PESADOS} if m in sys.modules])
"""


def test_el_nucleo_es_ligero(tmp_path):
    "La página se hace sin importar los modelos, ni lo que ocupan sus bibliotecas."
    dice = dict(puerto=1, secreto='', ficha=TallerLocal().ficha())
    (tmp_path / 'obrero.json').write_text(json.dumps(dice), encoding='utf-8')
    entorno = {**os.environ, 'IMG2AUDIO_OBRERO': str(tmp_path / 'obrero.json')}
    r = subprocess.run([sys.executable, '-c', LIGERA], cwd=tmp_path, env=entorno, capture_output=True, text=True)
    assert r.stdout == '[]\n', r.stderr


def abrir(contexto, app: str):
    "Una visita, con la página lista, y lo que tardó en estarlo."
    pagina, inicio = contexto.new_page(), time.monotonic()
    pagina.goto(app, wait_until='commit')
    pagina.get_by_role('button', name='Sonorizar', exact=True).wait_for()
    return pagina, time.monotonic() - inicio


def sonorizar_gallo(pagina) -> None:
    "Elige el gallo, pulsa, y espera a oírlo."
    pagina.get_by_role('button', name='🐓').first.click()
    pulsar(pagina, 'Sonorizar')
    pagina.locator('audio[src]').wait_for(state='attached')


def test_diez_visitas(navegador, app):
    "Diez visitas y recargas, una con su sonido: acaban con sus núcleos, y cada una ocupa poco."
    with pestana(navegador, app) as (pagina, _):
        tardan = []
        for _ in range(3):
            visita, tarda = abrir(pagina.context, app)
            tardan.append(tarda)
            for _ in range(2):
                visita.reload(wait_until='commit')
                visita.get_by_role('button', name='Sonorizar', exact=True).wait_for()
            visita.close(run_before_unload=True)
        ultima, tarda = abrir(pagina.context, app)
        sonorizar_gallo(ultima)
        # el suyo, y el que espera a otra; si algún aviso se pierde en una máquina ocupada, a los dos minutos se recoge
        hasta_que(lambda: len(procesos(app, 'ipykernel_launcher')) <= 2, 240)
        ocupan = [h.memory_full_info().pss / 2**20 for h in procesos(app, 'ipykernel_launcher')]
        assert max(ocupan) < 150, ocupan
        print(f'\npágina lista en {min(tardan):.1f}–{max(tardan):.1f} s; cada núcleo, {max(ocupan):.0f} MiB')
        ultima.close(run_before_unload=True)
        # dentro: si el navegador se cerrara a la vez, el aviso de la página no llegaría a salir
        hasta_que(lambda: len(procesos(app, 'ipykernel_launcher')) == 1, 240)


@pytest.mark.skipif(
    os.environ.get('IMG2AUDIO_LARGO') != '1', reason='dura más de dos minutos: se pide con IMG2AUDIO_LARGO=1'
)
def test_visita_que_no_se_despide(navegador, app):
    "Su núcleo se recoge, y quien vuelve a una pestaña sin núcleo encuentra una página nueva."
    with pestana(navegador, app) as (pagina, _):
        callada, _ = abrir(pagina.context, app)
        callada.evaluate('navigator.sendBeacon = () => true')
        callada.close(run_before_unload=True)
        vuelve, _ = abrir(pagina.context, app)
        vuelve.evaluate('window.esta_misma = true')
        de_antes = procesos(app, 'ipykernel_launcher')
        assert len(de_antes) == 3
        hasta_que(lambda: len(procesos(app, 'ipykernel_launcher')) == 2, 180)
        vuelve.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # con núcleo, no cambia nada
        vuelve.wait_for_timeout(2_000)
        assert vuelve.evaluate('window.esta_misma')
        nucleo = vuelve.evaluate("JSON.parse(document.getElementById('jupyter-config-data').textContent)['kernelId']")
        assert (
            vuelve.evaluate(
                f"fetch('voila/api/shutdown/{nucleo}', {{method: 'POST', body: new URLSearchParams("
                "{_xsrf: document.cookie.match('_xsrf=([^;]*)')[1]})}).then(r => r.status)"
            )
            == 204
        )
        vuelve.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        vuelve.wait_for_function('!window.esta_misma')
        vuelve.get_by_role('button', name='Sonorizar', exact=True).wait_for()
        vuelve.close(run_before_unload=True)
    hasta_que(lambda: len(procesos(app, 'ipykernel_launcher')) == 1)


def pedir_muchos_pasos(pagina) -> None:
    "Elige el gallo y doscientos pasos, y pulsa."
    pagina.get_by_role('button', name='🐓').first.click()
    if not pagina.get_by_role('slider', name='Pasos').is_visible():
        mas_mandos(pagina)
    pagina.get_by_role('slider', name='Pasos').press('End')
    pulsar(pagina, 'Sonorizar')
    pagina.get_by_text(re.compile(r'Paso \d+ de 200')).wait_for()


def test_dos_a_la_vez(navegador, app):
    """Quien llega mientras otra genera sabe qué puesto tiene, y no espera a quien se ha ido; si el obrero se cae, se
    dice, y con pulsar otra vez basta."""
    with pestana(navegador, app) as (vacia, _):
        una, _ = abrir(vacia.context, app)
        otra, _ = abrir(vacia.context, app)
        pedir_muchos_pasos(una)
        otra.get_by_role('button', name='🐓').first.click()
        pulsar(otra, 'Sonorizar')
        estado(otra, 'va usted la segunda')
        una.close(run_before_unload=True)
        estado(otra, 'Listo')

        pedir_muchos_pasos(otra)
        (obrero,) = procesos(app, 'puertas.obrero')
        obrero.kill()
        estado(otra, 'pulse otra vez')
        pedir_muchos_pasos(otra)
        pulsar(otra, 'Cancelar')
        estado(otra, 'Cancelado.')
        (nuevo,) = procesos(app, 'puertas.obrero')
        assert nuevo.pid != obrero.pid


HUERFANO = """
import sys, time
from pathlib import Path
from img2audio.puertas.obrero import Vigia
print(Vigia('mini', Path(sys.argv[1])).proceso.pid, flush=True)
time.sleep(600)
"""


def test_el_obrero_no_queda_huerfano(tmp_path):
    "Si a quien lo lanzó lo matan sin más, el obrero acaba."
    orden = [sys.executable, '-c', HUERFANO, str(tmp_path / 'obrero.json')]
    with subprocess.Popen(orden, stdout=subprocess.PIPE, text=True) as p:
        obrero = psutil.Process(int(p.stdout.readline()))
        p.kill()
    hasta_que(lambda: not obrero.is_running() or obrero.status() == psutil.STATUS_ZOMBIE)


def test_ctrl_c_mientras_se_prepara(tmp_path):
    "No queda ni el obrero, ni lo que se había escrito."
    orden = [str(Path(sys.executable).with_name('img2audio_app')), '--sin_navegador', '--puerto', str(puerto_libre())]
    dice, entorno = dict(stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True), {**os.environ}
    entorno['TMPDIR'] = str(tmp_path)
    with subprocess.Popen(orden, cwd=tmp_path, env=entorno, start_new_session=True, **dice) as p:
        assert p.stdout.readline() == 'Preparando img2audio…\n'
        hasta_que(lambda: psutil.Process(p.pid).children())
        (obrero,) = psutil.Process(p.pid).children()
        os.killpg(p.pid, signal.SIGINT)
        assert p.communicate(timeout=120)[0] == 'img2audio_app: interrumpido\n' and p.returncode == 130
    hasta_que(lambda: not obrero.is_running())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not shutil.which('make'), reason='Falta make.')
@pytest.mark.parametrize('uid', ['0', '1000'])
def test_make_lab(tmp_path, uid):
    "Como root, con --allow-root y una frase que lo dice; si no, como siempre."
    (tmp_path / 'bin').mkdir()
    for orden, hace in {'id': f'echo {uid}', 'jupyter': 'echo jupyter "$@"'}.items():
        (tmp_path / 'bin' / orden).write_text(f'#!/bin/sh\n{hace}\n')
        (tmp_path / 'bin' / orden).chmod(0o755)
    (tmp_path / '.listo').touch()
    # `make test` los deja puestos, y el `make` de aquí diría de dónde viene
    fuera = ('MAKEFLAGS', 'MFLAGS', 'MAKELEVEL')
    entorno = {c: v for c, v in os.environ.items() if c not in fuera}
    entorno['PATH'] = f'{tmp_path / "bin"}:{os.environ["PATH"]}'
    r = subprocess.run(['make', 'lab', f'VENV={tmp_path}'], cwd=RAIZ, env=entorno, capture_output=True, text=True)
    dice = [
        'Es usted root, como en un contenedor: JupyterLab se abre con --allow-root.',
        'jupyter lab --allow-root nbs/',
    ]
    assert r.stdout.splitlines() == (dice if uid == '0' else ['jupyter lab nbs/']), r.stderr

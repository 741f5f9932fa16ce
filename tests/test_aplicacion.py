"""La aplicación en un navegador de verdad, sin red: su cuaderno en JupyterLab, y la página de Voilà que abre
`img2audio_app`."""

import base64
import contextlib
import json
import os
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
from test_navegador import ANCHOS, DESBORDE, SONIDOS, accesibilidad

RAIZ = Path(__file__).resolve().parents[1]
DIBUJO = RAIZ / 'img2audio' / 'dibujos' / 'fluent' / 'rooster' / 'gallina.png'
PACIENCIA = 240_000  # milisegundos: en una máquina cargada, abrir JupyterLab e importar los modelos lleva su tiempo
# Suelta en la zona de la imagen los archivos dados, como haría el ratón.
SOLTAR = """([zona, archivos]) => {
  const dt = new DataTransfer(), octetos = b64 => Uint8Array.from(atob(b64), c => c.charCodeAt(0));
  for (const [nombre, b64] of archivos) dt.items.add(new File([octetos(b64)], nombre, {type: 'image/png'}));
  zona.dispatchEvent(new DragEvent('drop', {dataTransfer: dt, bubbles: true, cancelable: true}));
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
            pagina.get_by_role('link', name='Descargar el WAV').click()
        assert (
            bajada.value.suggested_filename == 'img2audio-0.wav'
            and Path(bajada.value.path()).read_bytes()[:4] == b'RIFF'
        )

        pagina.get_by_role('slider', name='Pasos').press('End')  # 200
        pulsar(pagina, 'Sonorizar')
        estado(pagina, 'Generando…')
        pulsar(pagina, 'Cancelar')
        estado(pagina, 'Cancelado.')
        assert (
            float(pagina.locator('.widget-hprogress .progress-bar').evaluate('e => parseFloat(e.style.width)')) < 90
        )  # no llegó al final
        oir(pagina, 1)

        archivo.set_input_files({'name': '../../rota.png', 'mimeType': 'image/png', 'buffer': b'esto no es una imagen'})
        pulsar(pagina, 'Sonorizar')
        estado(pagina, 'No se pudo sonorizar. No se pudo abrir lo recibido como imagen')
        assert pagina.get_by_role('button', name='Sonorizar', exact=True).is_enabled()


@pytest.fixture
def app(tmp_path):
    "La dirección de `img2audio_app`, arrancada lejos del repositorio; y al acabar, que se para sin dejar nada."
    (tmp_path / 'sin_repositorio').mkdir()
    puerto, orden = puerto_libre(), Path(sys.executable).with_name('img2audio_app')
    orden = (
        [str(orden)]
        if orden.exists()
        else [sys.executable, '-c', 'from img2audio.puertas.aplicacion import principal_app; principal_app()']
    )
    with servidor([*orden, '--sin_navegador', '--puerto', str(puerto)], tmp_path / 'sin_repositorio', puerto) as p:
        yield f'http://127.0.0.1:{puerto}/'
    assert p.returncode == 0 and list((tmp_path / 'sin_repositorio').glob('tmp*/*.ipynb')) == []
    with pytest.raises(OSError):
        socket.create_connection(('127.0.0.1', puerto), timeout=1)


def test_en_voila(navegador, app, tmp_path):
    "La página propia: emoji, soltar, pegar y cámara; se oye, nada se desborda, y nada sale de este equipo."
    capturas = Path(os.environ.get('CAPTURAS') or tmp_path)
    capturas.mkdir(parents=True, exist_ok=True)
    with pytest.raises(urllib.error.HTTPError, match='403'):  # otra página no puede hacerse pasar por esta
        urllib.request.urlopen(urllib.request.Request(app, headers={'Host': 'otra.example'}), timeout=20)
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
        pagina.get_by_role('button', name='🐓').click()  # el emoji quita la imagen
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

        for veces in (1, 2):
            pagina.locator('.i2a-zona input[type=file]').set_input_files(DIBUJO)
            pagina.get_by_role('spinbutton', name='Semilla').fill(str(veces))
            pagina.get_by_role('spinbutton', name='Semilla').press('Enter')
            pulsar(pagina, 'Sonorizar')
            pagina.get_by_text(f'gallina.png, semilla {veces}').wait_for()
            estado(pagina, 'Listo: 5,0 s.')
            oir(pagina, veces)
            if veces == 1:
                pagina.locator('#rendered_cells .widget-vbox').first.screenshot(path=capturas / 'aplicacion.png')
        assert fuera == []
        for ancho in ANCHOS:
            pagina.set_viewport_size({'width': ancho, 'height': 1900})
            pagina.screenshot(path=capturas / f'aplicacion-{ancho}.jpg', type='jpeg', quality=60)
            assert pagina.evaluate(DESBORDE) == [] and accesibilidad(pagina) == []


@pytest.mark.skipif(
    os.environ.get('IMG2AUDIO_LARGO') != '1', reason='dura más de cinco minutos: se pide con IMG2AUDIO_LARGO=1'
)
def test_ocho_en_voila(navegador, app):
    "Ocho visitas a la vez durante cinco minutos: ningún error, cada una oye siempre lo suyo, y la memoria no crece."
    (servidor,) = (h for h in psutil.Process().children() if app.rsplit(':', 1)[1].strip('/') in h.cmdline())
    emojis = '🐶🐓🌧🌊👶⏰🤧🚁'

    def ocupa():
        return sum(h.memory_full_info().pss for h in (servidor, *servidor.children(recursive=True)))

    with contextlib.ExitStack() as pila:
        paginas = [pila.enter_context(pestana(navegador, app))[0] for _ in emojis]
        for p, e in zip(paginas, emojis, strict=True):
            p.goto(app, wait_until='commit')
            p.get_by_role('button', name=e).click()

        def ronda(semilla: int) -> list[str]:
            "El WAV que recibe cada visita, pidiendo todas a la vez."
            for p in paginas:
                p.get_by_role('spinbutton', name='Semilla').fill(str(semilla))
                p.get_by_role('spinbutton', name='Semilla').press('Enter')
                pulsar(p, 'Sonorizar')
            for p, e in zip(paginas, emojis, strict=True):
                p.get_by_text(f'{e}, semilla {semilla}', exact=False).first.wait_for()
                estado(p, 'Listo: 5,0 s.')
            return [p.locator('audio').first.get_attribute('src') for p in paginas]

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

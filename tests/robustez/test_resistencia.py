"""Muchas veces seguidas, y muchos a la vez: ni se hincha, ni se mezcla.

Con `IMG2AUDIO_LARGO=1`, quinientas sonorizaciones y cinco minutos de ocho usuarios:

IMG2AUDIO_LARGO=1 python -m pytest tests/robustez/test_resistencia.py -s
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

LARGO = os.environ.get('IMG2AUDIO_LARGO') == '1'
VECES, CALIENTE = (500, 50) if LARGO else (30, 10)  # sonorizaciones; a partir de cuál no debe crecer
SEGUNDOS, USUARIOS = (300, 8) if LARGO else (10, 8)
if not Path('/proc/self/status').exists():
    pytest.skip('sin /proc no se sabe lo que ocupa un proceso', allow_module_level=True)

PROGRAMA = '''
import ctypes, gc, json, os, sys, threading, time
from pathlib import Path
def ocupa():
    "Memoria (bytes), descriptores e hilos de este proceso."
    gc.collect()
    # lo que ya está libre, al sistema: así no se confunde lo que se guarda de más con lo que se guarda para luego
    try: ctypes.CDLL(None).malloc_trim(0)
    except AttributeError: pass  # no es glibc
    def abierto(f):
        try: return os.readlink(f)
        except OSError: return '.ttf'  # el de la propia cuenta
    # matplotlib guarda las últimas 64 letras que abrió cada hilo, y ninguna más
    return dict(memoria=int(Path('/proc/self/statm').read_text().split()[1])*os.sysconf('SC_PAGE_SIZE'),
                descriptores=sum(not abierto(f).endswith('.ttf') for f in Path('/proc/self/fd').iterdir()),
                hilos=len(os.listdir('/proc/self/task')))

# Muchas seguidas
import tempfile, warnings
from img2audio.comun.imagenes import ImagenInvalida
from img2audio.integracion import sonorizar
from img2audio.puertas.variaciones import lamina
veces, caliente = int(sys.argv[1]), int(sys.argv[2])
warnings.simplefilter('ignore')
fuentes, medidas, inicio = '🐶🐓🌧🌊👶⏰🤧🚁🪚🔥', {}, time.monotonic()
with tempfile.TemporaryDirectory() as d:
    for i in range(veces):
        # pocos pasos: lo que crece no depende de ellos
        opciones = dict(segundos=1 + i % 3, semilla=i, progreso=False, pasos=2)
        if i % 5 == 4:  # lo que falla también se repite
            try: sonorizar(b'no es una imagen', **opciones)
            except ImagenInvalida: pass
        if i % 3 == 2: s = sonorizar(texto=f'llueve {i} veces', **opciones)
        else:
            texto, mejor_de = 'a lo lejos' if i % 4 == 0 else None, 2 if i % 10 == 3 else 1
            s = sonorizar(fuentes[i % 10], texto=texto, elegir_mejor_de=mejor_de, **opciones)
        s.guardar(f'{d}/s.{("wav", "flac", "ogg", "mp3")[i % 4]}')
        if i % 10 == 7: lamina(s, fuentes[0])
        if i + 1 in (caliente, veces): medidas[i + 1] = ocupa()
seguidas = medidas | dict(segundos=round(time.monotonic() - inicio))

# Muchos a la vez
from img2audio.puertas.aplicacion import Aplicacion
segundos, usuarios = int(sys.argv[3]), int(sys.argv[4])
pedido = lambda u, vez: dict(segundos=1 + u % 3, pasos=2, semilla=100*u + vez % 3)
debe = {(u, v): sonorizar(fuentes[u], progreso=False, **pedido(u, v)).codificar('wav')
        for u in range(usuarios) for v in range(3)}
apps, fallos, cuenta = [Aplicacion() for _ in range(usuarios)], [], [0]*usuarios
def usa(u):
    "Un usuario: pide, pulsa, espera y mira si lo que oye es lo suyo."
    app, vez = apps[u], 0
    while time.monotonic() < hasta or vez < 3:
        app.poner(fuente=fuentes[u], **pedido(u, vez))
        app.pulsar(); app.esperar(600)
        titulo, sonido, _ = app.historia[0] if app.historia else ('', None, '')
        if 'Listo' not in app.pagina.estado or not titulo.startswith(fuentes[u]):
            fallos.append((u, vez, app.pagina.estado, titulo))
        elif sonido.wav != debe[u, vez % 3]: fallos.append((u, vez, 'no es su sonido'))
        ajenos = {t.split()[0] for t, *_ in app.historia} - {fuentes[u]}
        if ajenos: fallos.append((u, vez, 'en su historia hay lo de otro'))
        vez += 1; cuenta[u] = vez
def ronda(s):
    global hasta
    hasta = time.monotonic() + s
    hilos = [threading.Thread(target=usa, args=(u,)) for u in range(usuarios)]
    for h in hilos: h.start()
    for h in hilos: h.join()
    return ocupa()
antes = ronda(segundos/2)
primeras = list(cuenta)
despues = ronda(segundos)
a_la_vez = dict(antes=antes, despues=despues, fallos=fallos, cuenta=[a + b for a, b in zip(primeras, cuenta)])
print(json.dumps(dict(seguidas=seguidas, a_la_vez=a_la_vez)))
'''


@pytest.fixture(scope='module')
def hecho(tmp_path_factory) -> dict:
    """Lo que mide un proceso nuevo. Con dos montones de memoria, y no uno por hilo:
    lo que ocupa baila un 1 % de una ronda a otra, y no un 5 %."""
    d = tmp_path_factory.mktemp('resistencia')
    (d / 'programa.py').write_text(PROGRAMA, encoding='utf-8')
    r = subprocess.run(
        [sys.executable, 'programa.py', *map(str, (VECES, CALIENTE, SEGUNDOS, USUARIOS))],
        cwd=d,
        env={**os.environ, 'HF_HUB_OFFLINE': '1', 'PYTHONUTF8': '1', 'OMP_NUM_THREADS': '1', 'MALLOC_ARENA_MAX': '2'},
        capture_output=True,
        text=True,
        encoding='utf-8',
        timeout=7200 if LARGO else 1200,
    )
    assert r.returncode == 0, r.stderr[-3000:]
    return json.loads(r.stdout.splitlines()[-1])


def no_crece(antes: dict, despues: dict) -> None:
    "La memoria, dentro del 5 %; descriptores e hilos, ni uno más."
    print(
        f"\nmemoria: {antes['memoria'] / 2**20:.0f} MiB y {despues['memoria'] / 2**20:.0f} MiB "
        f"({despues['memoria'] / antes['memoria'] - 1:+.1%}); descriptores: {antes['descriptores']} y "
        f"{despues['descriptores']}; hilos: {antes['hilos']} y {despues['hilos']}"
    )
    assert despues['memoria'] <= 1.05 * antes['memoria']
    assert despues['descriptores'] <= antes['descriptores'] and despues['hilos'] <= antes['hilos']


def test_muchas_seguidas(hecho, apuntar):
    "En un proceso, de distinta duración, con imagen, texto o ambos, con candidatos y con errores por medio."
    m = hecho['seguidas']
    no_crece(m[str(CALIENTE)], m[str(VECES)])
    print(f"{VECES} sonorizaciones en {m['segundos']} s")
    apuntar(VECES)


def test_ocho_usuarios(hecho, apuntar):
    "Ocho aplicaciones abiertas a la vez en un proceso: hacen cola, y cada una recibe su sonido, muestra a muestra."
    m = hecho['a_la_vez']
    assert not m['fallos'], m['fallos'][:5]
    assert min(m['cuenta']) >= 6 and max(m['cuenta']) <= 3 * min(m['cuenta']), f"la cola no es justa: {m['cuenta']}"
    no_crece(m['antes'], m['despues'])
    print(f"sonidos de cada usuario: {m['cuenta']}")
    apuntar(sum(m['cuenta']))

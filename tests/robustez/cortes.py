"""Trabajos que se matan, se interrumpen o se quedan sin disco.

Lo ejecuta `test_cortes.py` en otro proceso; no es una prueba. Importar los modelos cuesta segundos, y matar a quien
los importa obliga a empezar de nuevo. Aquí se importan una vez, y cada trabajo es un hijo de este proceso (`fork`) que
empieza al instante y muere solo. Lo que pasó queda en un JSON.
"""

import functools
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

import pyarrow.parquet as pq
import soundfile
import torch
from huggingface_hub import constants
from safetensors.torch import load_file
from tqdm import tqdm

from img2audio import embeddings
from img2audio.base_de_datos import base_mini
from img2audio.comun.imagenes import abrir_imagen
from img2audio.comun.perfiles import Perfil, cargar_perfil
from img2audio.comun.sistema import errores_en_claro
from img2audio.puertas import base, escala
from img2audio.puertas import orden as orden_img2audio
from img2audio.taller import miniatura
from img2audio.taller.entrenamiento import entrenar, guardar_modelo
from img2audio.traductor import Traductor

MUERTES = int(os.environ.get('MUERTES', 20))  # de cada trabajo
SIN_EMPEZAR = 99  # se interrumpió antes de entrar en `img2audio`, y no cuenta


# Los trabajos: cada uno, con todo lo suyo en la carpeta en que está, y hasta el final.
# Si ya está hecho, no cambia nada.
def orden(modulo, *args: str) -> None:
    "Lo que hace una orden de la terminal, sin volver a importarlo todo."
    sys.argv = [modulo.__name__, *args]
    principal = next(f for n, f in vars(modulo).items() if n.startswith('principal'))
    # las órdenes de fastcore solo leen los argumentos si las llama un programa
    programa = dict(__name__='__main__', __file__=__file__, principal=principal)
    exec(compile('principal()', __file__, 'exec'), programa)


def extraccion(perfil: str) -> None:
    embeddings.extraer_embeddings = functools.partial(embeddings.extraer_embeddings, parte=8)  # varios trozos
    for i in range(2):
        orden(escala, 'extraer', '--tabla', '../tabla.csv', '--n', '2', '--i', str(i), '--perfil', perfil)
    orden(escala, 'reunir', '--n', '2')


def traductor(perfil: str) -> None:
    p = Perfil('prueba', f'{perfil}/clip', f'{perfil}/clap', f'{perfil}/audioldm', 'traductor')
    if Path('traductor').is_dir():
        return
    with errores_en_claro('img2audio.puertas.base', 'interrumpido'):
        base.entrenar_traductor_de(p, base_mini(40), progreso=False, epocas=3)


def entrenamiento(perfil: str) -> None:
    "La orden y el bucle de la miniatura; la red, de juguete."

    def entrenar_juguete(carpeta, destino, pasos, semilla=0):
        torch.manual_seed(semilla)
        red = Traductor(8, 16)

        def perdida(paso):
            x = torch.randn(16, 16)
            return dict(total=(red(x) - x.roll(1, 1)).square().mean())

        media = entrenar(carpeta, dict(red=red), dict(red=perdida), pasos, 1e-2, semilla, cada=20)
        guardar_modelo(media, Path(destino) / 'vae', carpeta)

    miniatura.entrenar_vae = entrenar_juguete
    orden(miniatura, 'vae', '--pasos', '200', '--salida', 'perfil', '--trabajo', 'trabajo')


def descarga(perfil: str) -> None:
    constants.HF_HUB_CACHE, constants.DOWNLOAD_CHUNK_SIZE = str(Path('hub').absolute()), 2**15
    with errores_en_claro('img2audio.puertas.base', 'interrumpido'):
        cargar_perfil(Perfil('hub', 'pruebas/clip', 'pruebas/clap', 'pruebas/audioldm', ''))


def lote(perfil: str) -> None:
    orden(
        orden_img2audio, '--lote', '../imagenes', '-o', 'sonidos', '--perfil', perfil, '--segundos', '1', '--pasos', '2'
    )


TRABAJOS = dict(extraccion=extraccion, traductor=traductor, entrenamiento=entrenamiento, descarga=descarga, lote=lote)


def diario(carpeta: Path) -> Path:
    "Adónde va lo que dice un trabajo: fuera de su carpeta, y del disco que se llena."
    return DIARIOS / f'{carpeta.name}.log'


def bifurcar(trabajo: str, carpeta: Path, perfil: str) -> int:
    "Un hijo que hace un trabajo en su carpeta: su pid. Lo que dice va a su diario."
    carpeta.mkdir(parents=True, exist_ok=True)
    if pid := os.fork():
        return pid
    estado = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        dice = os.open(diario(carpeta), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(dice, 1)
        os.dup2(dice, 2)
        os.chdir(carpeta)
        TRABAJOS[trabajo](perfil)
        estado = 0
    except SystemExit as e:
        estado = e.code or 0
    except BaseException as e:
        por_donde = {Path(f.filename).parent for f in traceback.extract_tb(e.__traceback__)}
        if isinstance(e, KeyboardInterrupt) and Path(base.__file__).parent not in por_donde:
            estado = SIN_EMPEZAR
        else:
            traceback.print_exc()
    finally:
        for f in (sys.stdout, sys.stderr):
            f.flush()
        os._exit(estado)


def esperar(pid: int) -> int:
    "El estado con que acaba; negativo si lo mató una señal."
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def definitivos(carpeta: Path) -> list[Path]:
    "Los archivos con su nombre definitivo: ni provisionales, ni cerrojos, ni lo que las bibliotecas guardan para sí."
    return [
        f
        for f in sorted(carpeta.rglob('*'))
        if f.is_file()
        and not re.search(
            r'\.parcial|\.cerrojo|\.incomplete|\.lock|/\.no_exist/|trozos/cache/|/dummy_file_|/blobs/tmp_|/(?:refs|trees)/[^/]+\.tmp$|/\.tmp\w{6}$|/CACHEDIR\.TAG$|/relleno$',
            str(f),
        )
    ]


def comprobar_enteros(carpeta: Path) -> int:
    "Abre y lee hasta el final cada archivo con su nombre definitivo. Cuántos son."
    abrir = {
        '.parquet': pq.read_table,
        '.safetensors': load_file,
        '.wav': soundfile.read,
        '.json': lambda f: json.loads(f.read_text()),
        '.jsonl': lambda f: [json.loads(o) for o in f.read_text().splitlines()],
        '.csv': lambda f: f.read_text().endswith('\n') or 1 / 0,
    }
    for f in definitivos(carpeta):
        try:
            abrir.get(f.suffix, lambda f: f.read_bytes())(f)
        except Exception as e:
            raise AssertionError(f'{f.relative_to(carpeta)} está a medias: {e}') from e
        if f.parent.name == 'blobs' and len(f.name) == 64:
            assert hashlib.sha256(f.read_bytes()).hexdigest() == f.name, f'{f} no es lo que dice su nombre'
    return len(definitivos(carpeta))


def resultado(carpeta: Path) -> dict[str, str]:
    "Cada archivo definitivo y su suma; sin los segundos de la curva y de los resultados, que nunca son los mismos."

    def suma(f):
        return hashlib.sha256(re.sub(rb'"segundos": [\d.]+', b'', f.read_bytes())).hexdigest()[:16]

    return {f.relative_to(carpeta).as_posix(): suma(f) for f in definitivos(carpeta)}


class Banco:
    "Los trabajos, en las carpetas de un directorio, y cómo salen sin que nadie los moleste."

    def __init__(self, d: Path, perfil: str, disco: Path | None):
        self.d, self.perfil, self.disco, self.debe, self.tarda = d, perfil, disco, {}, {}

    def preparar(self) -> None:
        "Lo que comparten los trabajos, al lado de sus carpetas."
        base_mini(40).select_columns(['id', 'caption']).to_csv(str(self.d / 'tabla.csv'))
        (self.d / 'imagenes').mkdir()
        for n, emoji in dict(a='🐓', b='🌧', c='🔥').items():
            abrir_imagen(emoji).save(self.d / 'imagenes' / f'{n}.png')
        if self.disco:
            subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', str(self.disco)], check=True)
            shutil.copytree(self.d / 'imagenes', self.disco / 'imagenes')
            shutil.copy(self.d / 'tabla.csv', self.disco)

    def de_una(self, trabajo: str) -> None:
        "Sin interrupciones, dos veces: lo que tarda, y lo que debe salir siempre."
        for veces in 'ab':
            inicio, c = time.monotonic(), self.d / f'{trabajo}-{veces}'
            if estado := esperar(bifurcar(trabajo, c, self.perfil)):
                raise AssertionError(f'{trabajo} acaba en {estado}:\n{diario(c).read_text()[-2000:]}')
            self.tarda[trabajo] = time.monotonic() - inicio
        self.debe[trabajo] = resultado(c)
        a = resultado(self.d / f'{trabajo}-a')
        assert a and self.debe[trabajo] == a, f'{trabajo} no sale igual dos veces'
        comprobar_enteros(c)

    def acabar(self, trabajo: str, c: Path) -> None:
        "Lo termina y comprueba que sale lo que debe."
        estado = esperar(bifurcar(trabajo, c, self.perfil))
        assert estado == 0, f'{trabajo}, al volver a empezar, acaba en {estado}:\n{diario(c).read_text()[-2000:]}'
        self.comparar(trabajo, c)

    def comparar(self, trabajo: str, c: Path) -> None:
        "Que haya salido lo que debe."
        sale, debe = resultado(c), self.debe[trabajo]
        assert sale == debe, f'{trabajo} sale distinto: {sorted(set(sale.items()) ^ set(debe.items()))}'

    def cortar(self, trabajo: str, senal: int, veces: int, azar: random.Random) -> dict:
        "Lo corta tantas veces, en momentos al azar; unas pocas en cada carpeta, una detrás de otra."
        cuenta, enteros, estados, dicen, carpetas, seguidas = 0, 0, [], [], 0, 0
        c = self.d / f'{trabajo}-{senal}-0'
        while cuenta < veces:
            pid = bifurcar(trabajo, c, self.perfil)
            time.sleep(azar.uniform(0, self.tarda[trabajo] * (1 if seguidas == 0 else 0.5)))
            os.kill(pid, senal)
            estado = esperar(pid)
            enteros += comprobar_enteros(c)
            if estado == SIN_EMPEZAR:
                continue
            if estado == 2:
                dicen.append(diario(c).read_text().strip()[-500:])
            if estado:
                cuenta += 1
                seguidas += 1
                estados.append(estado)
            else:
                self.tarda[trabajo] *= 0.8  # llegó antes al final: la máquina iba más despacio cuando se midió
            if estado == 0 or seguidas == 4 or cuenta == veces:  # ya acabó, o ya van cuatro: a terminarlo
                self.acabar(trabajo, c)
                if senal == signal.SIGINT:
                    assert 'Traceback' not in (dice := diario(c).read_text()), dice[-2000:]
                shutil.rmtree(c)
                carpetas, seguidas = carpetas + 1, 0
                c = self.d / f'{trabajo}-{senal}-{carpetas}'
        return dict(cortes=cuenta, carpetas=carpetas, enteros=enteros, estados=sorted(set(estados)), dicen=dicen)

    def a_la_vez(self, trabajo: str, veces: int, azar: random.Random) -> int:
        "Dos procesos, con el mismo trabajo en la misma carpeta. Cuántas parejas."
        for i in range(veces):
            c = self.d / f'{trabajo}-dos-{i}'
            pids = [bifurcar(trabajo, c, self.perfil)]
            time.sleep(azar.uniform(0, self.tarda[trabajo] / 2) if i else 0)
            pids.append(bifurcar(trabajo, c, self.perfil))
            hasta = time.monotonic() + 30 * self.tarda[trabajo] + 30
            while pids and time.monotonic() < hasta:
                for p in list(pids):
                    acabado, estado = os.waitpid(p, os.WNOHANG)
                    if acabado:
                        pids.remove(p)
                        assert estado == 0, (
                            f'{trabajo}, a la vez que otro, acaba en {estado}:\n{diario(c).read_text()[-3000:]}'
                        )
                time.sleep(0.01)
            if pids:
                [os.kill(p, signal.SIGKILL) for p in pids]
                raise AssertionError(f'{trabajo}: dos a la vez se quedan esperando')
            self.comparar(trabajo, c)
        return veces

    def lleno(self, trabajo: str, veces: int, azar: random.Random) -> dict:
        "Con un disco de 64 MiB lleno a cada vez más altura; después, con sitio."
        fallos, dicen = 0, []
        hace_falta = sum(f.stat().st_size for f in definitivos(self.d / f'{trabajo}-a'))
        for i in range(veces):
            c, relleno = self.disco / f'{trabajo}-lleno-{i}', self.disco / 'relleno'
            c.mkdir()
            libre = shutil.disk_usage(self.disco).free - int(hace_falta * (i + azar.random()) / veces)
            with open(relleno, 'wb') as f:
                os.posix_fallocate(f.fileno(), 0, libre)
            estado = esperar(bifurcar(trabajo, c, self.perfil))
            relleno.unlink()
            dijo = diario(c).read_text()
            comprobar_enteros(c)
            if estado:
                fallos += 1
                dicen.append(dijo.strip().splitlines()[-1])
                assert re.search('[Nn]o queda sitio|no cabe en el disco', dijo), (
                    f'{trabajo}, con el disco lleno:\n{dijo[-3000:]}'
                )
            self.acabar(trabajo, c)  # ya con sitio
            shutil.rmtree(c)
        return dict(llenos=fallos, veces=veces, dicen=sorted(set(dicen)))


def intentar(f, *args):
    "Lo que devuelve, o el texto de su fallo: una prueba que falla no impide las demás."
    try:
        return f(*args)
    except Exception:
        return traceback.format_exc()


if __name__ == '__main__':
    d, perfil, salida, disco = (
        Path(sys.argv[1]),
        sys.argv[2],
        Path(sys.argv[3]),
        Path(sys.argv[4]) if sys.argv[4] else None,
    )
    tqdm.set_lock(
        threading.RLock()
    )  # el suyo lo comparten los hijos de un fork: si se mata al que lo tiene, los demás esperarían siempre
    DIARIOS = d / 'diarios'
    DIARIOS.mkdir(parents=True)
    banco, hecho = Banco(d, perfil, disco), {}
    banco.preparar()
    for t in sys.argv[5:] or TRABAJOS:
        azar, inicio = random.Random(t), time.monotonic()
        hecho[t] = dict(de_una=intentar(banco.de_una, t))
        if hecho[t]['de_una'] is None:
            hecho[t]['muertes'] = intentar(banco.cortar, t, signal.SIGKILL, MUERTES, azar)
            hecho[t]['interrupciones'] = intentar(banco.cortar, t, signal.SIGINT, max(2, MUERTES // 4), azar)
            hecho[t]['a_la_vez'] = intentar(banco.a_la_vez, t, max(2, MUERTES // 8), azar)
            if disco:
                hecho[t]['lleno'] = intentar(banco.lleno, t, max(4, MUERTES // 8), azar)
        hecho[t] |= dict(tarda=round(banco.tarda.get(t, 0), 2), segundos=round(time.monotonic() - inicio, 1))
        salida.write_text(json.dumps(hecho, indent=1))

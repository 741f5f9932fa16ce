"La orden en una consola de verdad: entrada y salida estándar, letras que no están, lotes a medias, salidas imposibles."

import csv
import functools
import io
import os
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import soundfile
from safetensors.torch import load_file, save_file

from img2audio import __version__, integracion
from img2audio.comun import difusion
from img2audio.comun.imagenes import abrir_imagen
from img2audio.comun.perfiles import MINI, PIEZAS, huella_perfil
from img2audio.comun.sistema import ErrorDeUso
from img2audio.comun.sonidos import Sonido
from img2audio.integracion import TuberiaImg2Audio, cargar_tuberia, sonorizar
from img2audio.puertas import aplicacion, atender
from img2audio.puertas.atender import comprobar_salida, ejecutar, ejecutar_lote, imagenes_de
from img2audio.puertas.orden import principal

CORTO = dict(segundos=0.64, pasos=1, progreso=False)
RAPIDO = ['--segundos', '1', '--pasos', '1']


@functools.cache
def png(emoji: str = '🌧') -> bytes:
    "Un dibujo, como PNG."
    b = io.BytesIO()
    abrir_imagen(emoji).save(b, 'PNG')
    return b.getvalue()


def orden(*args, entrada: bytes = b'', carpeta: Path | None = None, **entorno) -> subprocess.CompletedProcess:
    "`python -m img2audio`, en un proceso suyo."
    entorno = {**os.environ, 'HF_HUB_OFFLINE': '1', 'OMP_NUM_THREADS': '1', 'PYTHONUTF8': '1', **entorno}
    todo = [sys.executable, '-m', 'img2audio', *args]
    return subprocess.run(todo, input=entrada, cwd=carpeta, env=entorno, capture_output=True, timeout=300)


def leer_csv(carpeta: Path) -> list[dict]:
    with open(carpeta / 'resultados.csv', encoding='utf-8', newline='') as f:
        return list(csv.DictReader(f))


@pytest.fixture
def fotos(tmp_path) -> Path:
    d = tmp_path / 'fotos'
    d.mkdir()
    return d


# La consola
def test_version():
    r = orden('--version')
    assert r.returncode == 0 and r.stdout.decode().strip() == f'img2audio {__version__}'


@pytest.mark.parametrize('letras', ['ascii', 'cp1252', 'utf-8'])
def test_la_ayuda_en_cualquier_consola(letras):
    r = orden('--help', PYTHONIOENCODING=letras)
    assert r.returncode == 0 and b'--segundos' in r.stdout and b'Traceback' not in r.stderr


def test_un_numero_con_coma():
    r = orden('🌧', '--segundos', '5,12')
    ultima = r.stderr.decode().splitlines()[-1]
    assert r.returncode == 2 and ultima.startswith('img2audio: ') and 'van con punto: 5.12' in ultima


def test_lo_que_la_consola_no_escribe_se_cambia(tmp_path):
    r = orden('🐓', '-o', '🐓.wav', *RAPIDO, carpeta=tmp_path, PYTHONIOENCODING='cp1252')
    assert r.returncode == 0 and '?.wav: 1.00 s' in r.stdout.decode('cp1252')
    assert soundfile.info(tmp_path / '🐓.wav').frames == 16_000


def test_de_la_entrada_a_la_salida(tmp_path):
    "`cat foto.png | img2audio - -o -`: por la salida va el sonido y nada más, y es el de siempre."
    r = orden('-', '-o', '-', *RAPIDO, entrada=png(), carpeta=tmp_path)
    assert r.returncode == 0, r.stderr.decode()
    onda, frecuencia = soundfile.read(io.BytesIO(r.stdout), dtype='float32')
    assert frecuencia == 16_000 and 'Suena a' in r.stderr.decode() and not list(tmp_path.iterdir())
    assert np.abs(onda - sonorizar(png(), segundos=1, pasos=1, progreso=False).muestras).max() < 1e-3


@pytest.mark.parametrize(
    'args, dice',
    [
        (['-o', '-', '--num_audios', '2', '🌧'], 'solo cabe un sonido'),
        (['--lote', 'fotos', '-o', '-'], 'carpeta de sonidos'),
        (['-'], 'lo recibido'),
        (['--texto', '  '], 'en blanco'),
    ],
)
def test_lo_que_no_puede_ser_se_dice(args, dice, tmp_path):
    r = orden(*args, carpeta=tmp_path)
    assert r.returncode == 2 and not r.stdout and not list(tmp_path.iterdir())
    ultima = r.stderr.decode().splitlines()[-1]
    assert ultima.startswith('img2audio: ') and dice in ultima


def test_quien_lee_se_va(tmp_path):
    lee, escribe = os.pipe()
    os.close(lee)
    entorno = {**os.environ, 'HF_HUB_OFFLINE': '1', 'OMP_NUM_THREADS': '1', 'PYTHONUTF8': '1'}
    todo = [sys.executable, '-m', 'img2audio', '🌧', '-o', '-', *RAPIDO]
    r = subprocess.run(todo, cwd=tmp_path, env=entorno, stdout=escribe, stderr=subprocess.PIPE, timeout=300)
    os.close(escribe)
    assert r.returncode == 2 and r.stderr.decode().splitlines()[-1].endswith('se ha ido antes de acabar.')


# Antes de generar, no después
def probar_salida(tmp_path: Path) -> dict[str, tuple]:
    "Salidas en las que no se puede escribir, y lo que se dice."
    (tmp_path / 'carpeta.wav').mkdir()
    (tmp_path / 'archivo').write_text('hola')
    (tmp_path / 'fijo.wav').write_text('no me toques')
    (tmp_path / 'fijo.wav').chmod(0o444)
    (tmp_path / 'enlace.wav').symlink_to(tmp_path / 'fijo.wav')
    return {
        'carpeta.wav': IsADirectoryError,
        'archivo/x.wav': NotADirectoryError,
        'fijo.wav': PermissionError,
        'enlace.wav': PermissionError,
        'x' * 300 + '.wav': OSError,
        'a\0b.wav': ValueError,
    }


def test_una_salida_que_no_se_puede_escribir(tmp_path, monkeypatch):
    monkeypatch.setattr(TuberiaImg2Audio, '__call__', lambda *_, **__: pytest.fail('se ha generado'))
    for nombre, clase in probar_salida(tmp_path).items():
        ruta = str(tmp_path / nombre)
        with pytest.raises(clase) as e:
            ejecutar('🌧', ruta, None, 0.5, 0.64, 1, 1.0, 0, 'mini', progreso=False)
        assert getattr(e.value, 'filename', None) in (ruta, None) and 'parcial' not in str(e.value)
    lamina = str(tmp_path / 'archivo' / 'x.png')
    with pytest.raises(NotADirectoryError) as e:
        ejecutar('🌧', str(tmp_path / 's.wav'), None, 0.5, 0.64, 1, 1.0, 0, 'mini', lamina, progreso=False)
    assert e.value.filename == lamina
    assert (tmp_path / 'fijo.wav').read_text() == 'no me toques'


def test_comprobar_no_deja_nada(tmp_path):
    comprobar_salida(tmp_path / 'nueva' / 'otra' / 'x.wav')
    (tmp_path / 'ya.wav').write_bytes(b'ya')
    comprobar_salida(tmp_path / 'ya.wav')
    assert [f.name for f in tmp_path.iterdir()] == ['ya.wav'] and (tmp_path / 'ya.wav').read_bytes() == b'ya'


def test_guardar_dice_la_ruta_del_usuario(tmp_path):
    (tmp_path / 'd.wav').mkdir()
    with pytest.raises(OSError) as e:
        Sonido(np.zeros(100, np.float32)).guardar(tmp_path / 'd.wav')
    assert e.value.filename == str(tmp_path / 'd.wav')


def test_se_escribe_en_lo_que_senala_un_enlace(tmp_path):
    (tmp_path / 'enlace.wav').symlink_to(tmp_path / 'de_verdad.wav')
    ejecutar('🌧', str(tmp_path / 'enlace.wav'), None, 0.5, 0.64, 1, 1.0, 0, 'mini', progreso=False)
    assert (tmp_path / 'enlace.wav').is_symlink() and soundfile.info(tmp_path / 'de_verdad.wav').frames == 10_240


# El lote
def test_un_sonido_para_cada_imagen(fotos, tmp_path):
    "Tampoco se pisan los que solo se distinguen por una mayúscula, o por cómo se escribe una tilde."
    nombres = ['a.jpg', 'a.png', 'a.jpg.png', 'A.PNG', 'b.webp', 'á.png', 'a\u0301.jpg']
    for n in nombres:
        (fotos / n).write_bytes(png())
    if len(list(fotos.iterdir())) < len(nombres):
        pytest.skip('este disco no los distingue')
    assert ejecutar_lote(str(fotos), str(tmp_path / 's'), **CORTO) == 0
    filas = leer_csv(tmp_path / 's')
    assert sorted(f['imagen'] for f in filas) == sorted(nombres)
    suenan = {unicodedata.normalize('NFC', f.name).casefold() for f in (tmp_path / 's').glob('*.wav')}
    assert len(suenan) == len(nombres)
    assert {f['sonido'] for f in filas} == {f.name for f in (tmp_path / 's').glob('*.wav')}


def test_lo_del_sistema_no_son_imagenes(fotos, tmp_path):
    for n in ('gallo.png', 'gallo.JFIF', 'gallo.avif'):
        (fotos / n).write_bytes(png())
    for n in ('._gallo.png', '.DS_Store', 'Thumbs.db', 'notas.txt'):
        (fotos / n).write_bytes(b'no')
    assert [f.name for f in imagenes_de(fotos)] == ['gallo.JFIF', 'gallo.avif', 'gallo.png']
    assert ejecutar_lote(str(fotos), str(tmp_path / 's'), **CORTO) == 0


def test_nombres_dificiles(fotos, tmp_path):
    "Largos, o que no son UTF-8: cada uno su fila, y la tabla se puede leer."
    nombres = ('a.png', 'm' * 241 + '.png', 'n' * 251 + '.png', os.fsdecode(b'caf\xe9.png'), 'z.png')
    for n in nombres:
        (fotos / n).write_bytes(png())
    assert ejecutar_lote(str(fotos), str(tmp_path / 's'), **CORTO) == 0
    filas = leer_csv(tmp_path / 's')
    assert len(filas) == 5 == len(list((tmp_path / 's').glob('*.wav'))) and not any(f['error'] for f in filas)
    assert any(f['imagen'] == 'caf\ufffd.png' for f in filas)


@pytest.mark.parametrize('donde', ['leer', 'generar', 'escribir'])
def test_un_fallo_es_una_fila(donde, fotos, tmp_path, monkeypatch):
    "También uno que nadie esperaba, y en medio de un lote."
    for n in 'abc':
        (fotos / f'{n}.png').write_bytes(png('🐓' if n == 'b' else '🌧'))
    if donde == 'leer':
        antes = TuberiaImg2Audio.condicion_imagen

        def rota(self, imagen):
            if np.array_equal(imagen, abrir_imagen(png('🐓'))):
                raise RuntimeError('vaya')
            return antes(self, imagen)

        monkeypatch.setattr(TuberiaImg2Audio, 'condicion_imagen', rota)
    if donde == 'generar':
        e = cargar_tuberia().condicion_imagen(png('🐓'))
        antes = TuberiaImg2Audio.__call__

        def rota(self, *args, prompt_embeds, **k):
            if (prompt_embeds - e).abs().amax(1).min() < 1e-6:
                raise RuntimeError('vaya')
            return antes(self, *args, prompt_embeds=prompt_embeds, **k)

        monkeypatch.setattr(TuberiaImg2Audio, '__call__', functools.wraps(antes)(rota))
    if donde == 'escribir':
        (tmp_path / 's' / 'b.wav').mkdir(parents=True)
    assert ejecutar_lote(str(fotos), str(tmp_path / 's'), dispositivo='cpu', **CORTO) == 1
    filas = {f['imagen']: f for f in leer_csv(tmp_path / 's')}
    assert list(filas) == ['a.png', 'b.png', 'c.png']
    assert [bool(f['error']) for f in filas.values()] == [False, True, False]
    assert (tmp_path / 's' / 'a.wav').is_file() and (tmp_path / 's' / 'c.wav').is_file()


def test_un_lote_se_sigue(fotos, tmp_path):
    "Lo hecho se queda; lo que falló, lo que falta, lo que cambia y lo nuevo se hacen; y si se pide otra cosa, todo."
    s = tmp_path / 's'
    for n in 'abc':
        (fotos / f'{n}.png').write_bytes(png())
    (fotos / 'b.png').write_bytes(b'no')

    def hacer(**k):
        antes = {f.name: f.stat().st_mtime_ns for f in s.glob('*.wav')}
        estado = ejecutar_lote(str(fotos), str(s), **CORTO | k)
        return estado, sorted(f.stem for f in s.glob('*.wav') if antes.get(f.name) != f.stat().st_mtime_ns)

    assert hacer() == (1, ['a', 'c'])
    assert hacer() == (1, [])
    (fotos / 'b.png').write_bytes(png())
    assert hacer() == (0, ['b'])
    (s / 'a.wav').unlink()
    (fotos / 'A.jpg').write_bytes(png('🐓'))
    assert hacer()[1] == ['A.jpg', 'a.png']  # ya no basta «a»
    (fotos / 'c.png').write_bytes(png('🐓'))
    assert hacer() == (0, ['c'])
    assert [f['imagen'] for f in leer_csv(s)] == ['A.jpg', 'a.png', 'b.png', 'c.png']
    assert hacer(semilla=1)[1] == ['A.jpg', 'a.png', 'b', 'c']
    assert hacer(texto='lluvia', semilla=1)[1] == ['A.jpg', 'a.png', 'b', 'c']
    assert hacer(texto='lluvia', semilla=1) == (0, [])


def test_un_lote_con_otro_traductor_no_es_el_mismo(fotos, tmp_path):
    "Si el Traductor se vuelve a entrenar, lo hecho se hace otra vez; si el perfil se copia a otra carpeta, no."
    (p := tmp_path / 'perfil').mkdir()
    for m in PIEZAS[:3]:
        (p / m).symlink_to(MINI / m)
    shutil.copytree(MINI / 'traductor', p / 'traductor')
    (fotos / 'a.png').write_bytes(png())

    def hacer():
        ejecutar_lote(str(fotos), str(tmp_path / 's'), perfil=str(p), **CORTO)
        return (tmp_path / 's' / 'a.wav').stat().st_mtime_ns

    uno = hacer()
    assert hacer() == uno and huella_perfil(str(p)) == huella_perfil('mini')
    (pesos,) = (p / 'traductor').glob('diffusion*.safetensors')
    nuevos = {k: v.flip(0) for k, v in load_file(pesos).items()}
    save_file(nuevos, pesos, metadata=dict(format='pt'))
    assert hacer() > uno and huella_perfil(str(p)) != huella_perfil('mini')


# --- Los errores de quien lo usa y los nuestros ---


@pytest.mark.parametrize(
    'error, estado, dice',
    [
        (ErrorDeUso('Falta algo.'), 2, 'img2audio: Falta algo.'),
        (ValueError('shapes\ndo not match'), 1, 'img2audio: error interno (ValueError: shapes do not match).'),
    ],
)
def test_lo_que_no_se_esperaba_se_dice(error, estado, dice, monkeypatch, capsys):
    "Un error nuestro no se cuenta como de quien lo usa: otro estado, una línea, y cómo ver la traza."

    def falla(**_):
        raise error

    monkeypatch.setattr(atender, 'atender', falla)
    monkeypatch.setattr(sys, 'argv', ['img2audio', '🐓'])
    for traza in ('', '1'):
        monkeypatch.setenv('IMG2AUDIO_TRAZA', traza)
        with pytest.raises(SystemExit) as acaba:
            principal()
        lineas = capsys.readouterr().err.splitlines()
        assert acaba.value.code == estado and lineas[-1].startswith(dice)
        assert ('IMG2AUDIO_TRAZA=1' in lineas[-1]) == (estado == 1)
        assert (len(lineas) == 1) == (not traza) and any('Traceback' in x for x in lineas) == bool(traza)


def test_la_aplicacion_distingue_los_errores(monkeypatch):
    for error, dice in ((ErrorDeUso('Falta algo.'), 'Falta algo.'), (ValueError('shapes'), 'no se esperaba')):

        def falla(*_, error=error, **__):
            raise error

        monkeypatch.setattr(integracion, 'sonorizar', falla)
        app = aplicacion.Aplicacion()
        app.poner(fuente='🐓')
        try:
            app.generar()
        except ValueError as e:
            assert e is error and not isinstance(e, ErrorDeUso)
        assert app.pagina.error and dice in app.pagina.estado


def test_la_aplicacion_usa_la_tuberia_de_sonorizar(monkeypatch):
    "Donde hay GPU, los dos la usan, y los modelos se cargan una vez."
    cargar, pedidas = integracion._cargar, []

    def apuntar(p, dispositivo, dtype, estado):
        pedidas.append((dispositivo, dtype))
        return cargar(p, 'cpu', dtype, estado)

    monkeypatch.setattr(integracion, '_cargar', apuntar)
    monkeypatch.setattr(difusion.torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(difusion, 'dispositivo_valido', lambda d: d)
    app = aplicacion.Aplicacion()
    app.poner(fuente='🐓', segundos=1, pasos=1)
    assert app.generar() is not None
    assert len(pedidas) > 1 and {d for d, _ in pedidas} == {'cuda'} and len(set(pedidas)) == 1


def test_un_lote_interrumpido_apunta_lo_hecho(fotos, tmp_path, monkeypatch):
    s = tmp_path / 's'
    for n in 'abc':
        (fotos / f'{n}.png').write_bytes(png())
    antes = Sonido.guardar

    def interrumpir(self, ruta):
        if Path(ruta).name == 'b.wav':
            raise KeyboardInterrupt
        return antes(self, ruta)

    with monkeypatch.context() as m:
        m.setattr(Sonido, 'guardar', interrumpir)
        with pytest.raises(KeyboardInterrupt):
            ejecutar_lote(str(fotos), str(s), **CORTO)
    assert [f['imagen'] for f in leer_csv(s)] == ['a.png']
    hecho = (s / 'a.wav').stat().st_mtime_ns
    assert ejecutar_lote(str(fotos), str(s), **CORTO) == 0
    assert [f['imagen'] for f in leer_csv(s)] == ['a.png', 'b.png', 'c.png'] and (
        s / 'a.wav'
    ).stat().st_mtime_ns == hecho


def test_una_tabla_ajena_no_estorba(fotos, tmp_path):
    (tmp_path / 's').mkdir()
    (tmp_path / 's' / 'resultados.csv').write_bytes(b'esto,no\n\xff\xfe,1\n')
    (fotos / 'a.png').write_bytes(png())
    assert ejecutar_lote(str(fotos), str(tmp_path / 's'), **CORTO) == 0
    assert [f['imagen'] for f in leer_csv(tmp_path / 's')] == ['a.png']


def test_lo_que_no_vale_para_ninguna_se_dice_antes(fotos, tmp_path):
    (fotos / 'a.png').write_bytes(png())
    dado = Sonido(np.ones(9999, np.float32))
    for mal in (dict(planificador='otro'), dict(texto_negativo='a', guia=1.0), dict(fuerza=2, sonido=dado)):
        with pytest.raises(ValueError):
            ejecutar_lote(str(fotos), str(tmp_path / 's'), **CORTO | mal)
    assert not (tmp_path / 's').exists()

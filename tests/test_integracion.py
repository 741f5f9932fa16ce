"La tubería ante lo que se le pide de verdad: textos, sonidos de partida, guías, semillas y avisos."

import copy
import io
import os
import resource
import shutil
import subprocess
import sys
import unicodedata
import warnings

import datasets
import numpy as np
import pytest
import soundfile
import torch
from transformers.utils import logging as registro

from img2audio.comun.difusion import comprobar_tensores, generadores, instantes, opciones, planificador, por_ventanas
from img2audio.comun.imagenes import abrir_imagen
from img2audio.comun.perfiles import PERFILES, Perfil
from img2audio.comun.sistema import recoger_avisos
from img2audio.comun.sonidos import FORMATOS, FRECUENCIA, FRECUENCIAS_MP3, Sonido
from img2audio.integracion import TuberiaImg2Audio, _cargar, cargar_tuberia, slerp, sonorizar
from img2audio.puertas.atender import sonorizar_lote
from img2audio.puertas.variaciones import continuar, rellenar

CORTO = dict(segundos=0.64, pasos=2, progreso=False)


@pytest.fixture(scope='module')
def tuberia():
    return cargar_tuberia()


@pytest.fixture(scope='module')
def dado():
    "Un sonido de partida."
    return Sonido(np.random.default_rng(0).normal(0, 0.1, 10_240).astype(np.float32))


def tono(frecuencia: int, segundos: float = 1.0) -> Sonido:
    t = np.arange(round(segundos * frecuencia)) / frecuencia
    return Sonido((0.5 * np.sin(2 * np.pi * 440 * t)).astype(np.float32), frecuencia)


@pytest.mark.parametrize('texto', ['lluvia', 'un helicóptero', 'un perro ladra'])
def test_el_texto_da_igual_como_se_escriba(tuberia, texto):
    debe = tuberia.condicion_texto(texto)
    nfd = unicodedata.normalize('NFD', texto)
    for otro in (texto.upper(), texto.capitalize(), nfd, f'¡{texto}!', f'  {texto} '):
        assert torch.cosine_similarity(tuberia.condicion_texto(otro), debe).item() >= 0.99, otro


def test_avisos_de_los_textos(tuberia):
    with recoger_avisos() as avisos:
        tuberia.condicion_texto('雨が降る')
        tuberia.condicion_texto('un perro ladra y ' * 40)
    assert len(avisos) == 2 and 'apenas sabe leer' in avisos[0] and 'demasiado largo' in avisos[1]


def test_los_avisos_de_otros_no_se_pierden():
    with warnings.catch_warnings(record=True) as otros:
        warnings.simplefilter('always')
        with recoger_avisos() as avisos:
            warnings.warn('de otra biblioteca', RuntimeWarning, stacklevel=1)
    assert avisos == [] and [(str(a.message), a.category) for a in otros] == [('de otra biblioteca', RuntimeWarning)]
    assert otros[0].filename == __file__


def test_el_aviso_de_un_texto_esta_en_el_lote():
    (r,) = sonorizar_lote(['🌧'], '雨が降る', **CORTO)
    assert r.error is None and 'apenas sabe leer' in r.aviso


@pytest.mark.parametrize('texto', [' ', '\n\t', '\u3000'])
def test_un_texto_en_blanco_se_dice(texto):
    with pytest.raises(ValueError, match='en blanco'):
        sonorizar(texto=texto, **CORTO)
    with pytest.raises(ValueError, match='en blanco'):
        sonorizar('🌧', texto_negativo=texto, **CORTO)


# De un sonido, varios
def test_varios_de_un_sonido_son_los_de_su_semilla(dado):
    varios = sonorizar('🌧', sonido=dado, num_audios=3, **CORTO)
    for s in varios:
        solo = sonorizar('🌧', sonido=dado, semilla=s.semilla, **CORTO)
        assert np.abs(s.muestras - solo.muestras).max() < 1e-3
    assert np.abs(varios[0].muestras - varios[1].muestras).max() > 0.01


def test_el_mejor_de_varios_de_un_sonido(dado):
    mejor = sonorizar('🌧', sonido=dado, elegir_mejor_de=2, **CORTO)
    assert np.abs(mejor.muestras - sonorizar('🌧', sonido=dado, semilla=mejor.semilla, **CORTO).muestras).max() < 1e-3


def test_rellenar_y_continuar_dan_varios(tuberia, dado):
    for f, args in ((rellenar, (0.2, 0.4)), (continuar, (0.32,))):
        uno = f(tuberia, dado, *args, texto='lluvia', pasos=2, generator=generadores(6, 1))[0]
        dos = f(tuberia, dado, *args, texto='lluvia', pasos=2, n=2, generator=generadores(5, 2))
        assert len(dos) == 2 and np.abs(dos[1].muestras - uno.muestras).max() < 1e-3


def test_un_lote_de_un_sonido(dado):
    salen = sonorizar_lote(['🌧', '🐓'], sonido=dado, **CORTO)
    for r, x in zip(salen, '🌧🐓', strict=True):
        assert r.error is None and np.abs(r.sonido.muestras - sonorizar(x, sonido=dado, **CORTO).muestras).max() < 1e-3


def test_un_sonido_demasiado_largo_no_llega_al_vae(tuberia, monkeypatch):
    monkeypatch.setattr(TuberiaImg2Audio, 'a_latente', lambda *_: pytest.fail('ha llegado'))
    with pytest.raises(ValueError, match='65.00 s'):
        tuberia(texto='lluvia', sonido=tono(FRECUENCIA, 65))


def test_continuar_dice_lo_que_se_le_pidio(tuberia):
    with pytest.raises(ValueError, match='añadir 58 s'):
        continuar(tuberia, tono(FRECUENCIA, 3), 58, texto='lluvia')


# Números
def test_la_guia_por_debajo_de_uno(tuberia):
    "Con 0, como si no se pidiera nada; con 0,5, a medio camino: lo que se prevé es lineal en la guía."
    e = tuberia.condicion_texto('lluvia')
    x = torch.randn(tuberia.forma_latente(1, 0.64), generator=generadores(0, 1)[0])
    nulo = tuberia.condicion_texto('')
    with torch.inference_mode():
        prevista = {g: tuberia._prever(x, torch.tensor(500), e, nulo, g) for g in (0, 0.5, 1)}
        sola = tuberia._prever(x, torch.tensor(500), nulo, nulo, 1)
    assert (prevista[0] - sola).abs().max() < 1e-4
    assert (prevista[0.5] - (prevista[0] + prevista[1]) / 2).abs().max() < 1e-4

    def sonar(texto, guia):
        return tuberia(texto=texto, guia=guia, generator=generadores(0, 1), segundos=0.64, pasos=2)[0]

    assert np.abs(sonar('lluvia', 0).muestras - sonar('', 1).muestras).max() < 1e-3
    assert np.abs(sonar('lluvia', 0).muestras - sonar('lluvia', 1).muestras).max() > 0.01


@pytest.mark.parametrize('fuerza', [0.25, 0.5, 0.8])
def test_rehacer_empieza_con_el_ruido_de_su_paso(tuberia, dado, monkeypatch, fuerza):
    "Con `fuerza=.5` se parte de la mitad del camino, y con el ruido que ahí toca: el de la ᾱ de ese paso."
    c, pasos, vistos = tuberia.scheduler.config, 8, []
    assert c.beta_schedule == 'scaled_linear'
    betas = np.linspace(c.beta_start**0.5, c.beta_end**0.5, c.num_train_timesteps) ** 2
    alfas = np.cumprod(1 - betas)

    def prever(self, x, t, **_):
        vistos.append((x.clone(), int(t)))
        return torch.zeros_like(x)

    monkeypatch.setattr(TuberiaImg2Audio, '_prever', prever)
    z, ruido = tuberia.a_latente(dado), torch.randn(tuberia.forma_latente(1, 0.64), generator=generadores(0, 1)[0])
    tuberia(texto='lluvia', sonido=dado, latents=ruido, pasos=pasos, guia=1.0, fuerza=fuerza, output_type='latent')
    x, t = vistos[0]
    assert len(vistos) == pasos and abs(t / c.num_train_timesteps - fuerza) < 0.05
    assert (x - (alfas[t] ** 0.5 * z + (1 - alfas[t]) ** 0.5 * ruido)).abs().max() < 1e-4


@pytest.mark.parametrize('largo, ventana', [(64, 16), (50, 16), (33, 32), (20, 7)])
def test_las_ventanas_son_una_media(largo, ventana):
    "Si todas prevén lo mismo, sale eso; si no, en cada trama, la media de las que la cubren, y pesa más su centro."
    inicios = []

    def una(que):
        def prever(x):
            inicios.append(int(x[0, 0, 0, 0]))
            return que(x)

        inicios.clear()
        return por_ventanas(prever, tramas, ventana)

    tramas = torch.arange(largo, dtype=torch.float32)[None, None, :, None].expand(1, 2, largo, 4)
    assert (una(lambda x: torch.full_like(x, 3.0)) - 3).abs().max() < 1e-5
    assert (una(lambda x: x) - tramas).abs().max() < 1e-4
    sale = una(lambda x: torch.full_like(x, float(len(inicios))))[0, 0, :, 0]
    assert inicios[0] == 0 and inicios[-1] == largo - ventana
    triangulo = np.minimum(np.arange(1, ventana + 1), np.arange(ventana, 0, -1))
    pesos = np.zeros((len(inicios), largo))
    for k, i in enumerate(inicios):
        pesos[k, i : i + ventana] = triangulo
    debe = (pesos * np.arange(1, len(inicios) + 1)[:, None]).sum(0) / pesos.sum(0)
    assert np.abs(sale.numpy() - debe).max() < 1e-4


def test_la_escala_del_vae_va_y_vuelve(tuberia, dado):
    "Con otra escala, otro latente y el mismo sonido."
    vae = copy.deepcopy(tuberia.vae)
    vae.register_to_config(scaling_factor=0.9)
    otra, suya = TuberiaImg2Audio(**{**tuberia.components, 'vae': vae}), tuberia.vae.config.scaling_factor
    assert suya != 0.9
    z, zz = tuberia.a_latente(dado), otra.a_latente(dado)
    assert (zz / 0.9 - z / suya).abs().max() < 1e-5
    a, b = (t.decodificar(x, dado.segundos)[0].muestras for t, x in ((tuberia, z), (otra, zz)))
    assert np.abs(a - b).max() < 1e-4


def test_float16_en_la_cpu(capfd, caplog):
    "Suena, y lo mismo que en float32; y no se dice en inglés que va a fallar."
    a, b = (sonorizar(texto='lluvia', dtype=d, dispositivo='cpu', **CORTO).muestras for d in ('float32', 'float16'))
    assert np.corrcoef(a, b)[0, 1] > 0.9
    assert 'float16' not in ''.join(capfd.readouterr()) + caplog.text


def test_la_mayor_semilla_vale():
    (ultima,) = generadores(2**64 - 1, 1)
    assert ultima.initial_seed() % 2**64 == 2**64 - 1
    for semilla, n in ((2**64, 1), (2**64 - 1, 2), (-(2**63) - 1, 1)):
        with pytest.raises(ValueError, match='64 bits'):
            generadores(semilla, n)


# La tubería, compartida y al día
def test_callar_una_vez_no_calla_a_la_tuberia(tuberia, capsys):
    tuberia.set_progress_bar_config(disable=False)
    sonorizar('🌧', **CORTO)
    sonorizar_lote(['🌧'], **CORTO)
    assert '/2' not in capsys.readouterr().err
    tuberia(texto='lluvia', segundos=0.64, pasos=2)
    assert '2/2' in capsys.readouterr().err


def test_cargar_no_cambia_las_barras_de_nadie():
    "Ni las de transformers, ni las de datasets, ni lo que cuentan: son del proceso de quien lo usa."
    _cargar.cache_clear()
    antes = registro.get_verbosity(), registro.is_progress_bar_enabled(), datasets.are_progress_bars_disabled()
    cargar_tuberia()
    despues = registro.get_verbosity(), registro.is_progress_bar_enabled(), datasets.are_progress_bars_disabled()
    assert antes == despues


def test_un_traductor_nuevo_se_nota(tmp_path):
    mini = PERFILES['mini']
    shutil.copytree(mini.traductor, tmp_path / 'traductor')
    p = Perfil('propio', mini.clip, mini.clap, mini.audioldm, str(tmp_path / 'traductor'))
    antes = cargar_tuberia(p)
    assert cargar_tuberia(p) is antes
    antes.traductor.register_to_config(umbral=0.123)
    antes.traductor.save_pretrained(tmp_path / 'traductor')
    assert cargar_tuberia(p) is not antes and cargar_tuberia(p).traductor.config.umbral == 0.123


# El sonido
@pytest.mark.parametrize('frecuencia', [7_000, 16_000, 44_100, 48_000, 96_000])
def test_un_sonido_de_cualquier_frecuencia(frecuencia, tmp_path):
    "Se guarda y se enseña con lo que dura, y en el dibujo."
    s = tono(frecuencia)
    for f in FORMATOS:
        info = soundfile.info(s.guardar(tmp_path / f's.{f}'))
        assert abs(info.duration - 1) < 0.1 and (f != 'mp3' or info.samplerate in FRECUENCIAS_MP3), f
    assert 'audio/mpeg' in s._repr_html_()
    imagen = s.espectrograma().images[0]
    assert abs(imagen.get_extent()[1] - 1) < 0.03
    debe = tono(FRECUENCIA).espectrograma().images[0]
    centro = slice(20, 80)

    def banda(i):
        return np.asarray(i.get_array()).reshape(i.get_array().shape)[:, centro].argmax(0).mean()

    assert abs(banda(imagen) - banda(debe)) <= 1  # 440 Hz sigue en su banda


def test_una_onda_al_reves():
    onda = tono(FRECUENCIA).muestras
    s = Sonido(onda[::-1])
    assert (s.muestras == onda[::-1]).all()
    s.espectrograma()
    assert len(s.codificar('ogg')) > 1000


def test_ogg_con_una_pila_pequena(tmp_path):
    "Dado de una vez, el codificador de Vorbis gasta una pila que crece con el sonido, y mata al proceso."
    codigo = (
        'import numpy as np; from img2audio.comun.sonidos import Sonido;'
        'x = np.random.default_rng(0).normal(0, .1, 960_000).astype(np.float32);'
        f'Sonido(x).guardar({str(tmp_path / "x.ogg")!r})'
    )

    def poca_pila():
        resource.setrlimit(resource.RLIMIT_STACK, (2**20, resource.getrlimit(resource.RLIMIT_STACK)[1]))

    entorno = {**os.environ, 'OMP_NUM_THREADS': '1', 'HF_HUB_OFFLINE': '1'}
    todo = [sys.executable, '-c', codigo]
    r = subprocess.run(todo, preexec_fn=poca_pila, env=entorno, capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    onda, _ = soundfile.read(tmp_path / 'x.ogg')
    debe = np.random.default_rng(0).normal(0, 0.1, 960_000)
    assert len(onda) == 960_000 and np.corrcoef(onda, debe)[0, 1] > 0.5


def test_un_jpeg_sin_final_se_avisa():
    b = io.BytesIO()
    abrir_imagen('🌧').save(b, 'JPEG')
    (r,) = sonorizar_lote([b.getvalue()[:-2]], **CORTO)
    assert r.error is None and 'JPEG' in r.aviso


# Los bordes de lo que se pide
BORDES = [
    ('segundos', [60], [0, 60.1, float('nan')]),
    ('pasos', [1, 1000], [0, 1001]),
    ('n', [1, 100], [0, 101]),
    ('guia', [0, 0.5, 50], [-0.1, 50.1]),
    ('peso_texto', [0, 1], [-0.01, 1.01]),
    ('ventana', [0.32], [0.31, 0]),
    ('intervalo_guia', [(0, 1), (0, 0), (1, 1), (0.5, 0.5)], [(-0.1, 1), (0, 1.1), (0.6, 0.5)]),
]


@pytest.mark.parametrize('que, buenos, malos', BORDES, ids=[q for q, *_ in BORDES])
def test_los_bordes_de_lo_que_se_pide(que, buenos, malos):
    for v in buenos:
        assert getattr(opciones(**{que: v}), que) == v
    for v in malos:
        pytest.raises(ValueError, opciones, **{que: v})


def test_los_bordes_al_rehacer():
    minuto = Sonido(np.zeros(60 * FRECUENCIA, np.float32))
    assert opciones(sonido=minuto).segundos == 60
    for fuerza in (1e-3, 1):
        assert opciones(sonido=minuto, fuerza=fuerza).fuerza == fuerza
    with pytest.raises(ValueError, match='60.00 s'):
        opciones(sonido=Sonido(np.zeros(60 * FRECUENCIA + 1, np.float32)))
    assert opciones().intervalo_guia == (0, 1) and opciones(texto_negativo='lluvia', guia=1.01).guia == 1.01


@pytest.mark.parametrize('eta', [0, 1, -0.01, 1.01])
def test_los_bordes_del_ruido_de_cada_paso(tuberia, eta):
    if 0 <= eta <= 1:
        assert planificador(tuberia.scheduler, 'ddim', eta).config.num_train_timesteps == 1000
    else:
        with pytest.raises(ValueError, match='entre 0 y 1'):
            planificador(tuberia.scheduler, 'ddim', eta)


@pytest.mark.parametrize(
    'pasos, fuerza, van', [(10, 1, 10), (10, 0.5, 10), (500, 0.1, 100), (1000, 1, 1000), (1, 1e-3, 1)]
)
def test_cuantos_instantes_se_recorren(tuberia, pasos, fuerza, van):
    "Los pedidos, en la última parte del camino; si de esos no hay tantos en mil, los que haya."
    t = instantes(copy.deepcopy(tuberia.scheduler), pasos, fuerza)
    assert len(t) == van and (t.diff() < 0).all() and t[0] <= 1000 * fuerza


def test_los_tensores_que_casan():
    forma, n = (2, 8, 32, 16), generadores(0, 2)

    def comprobar(**k):
        comprobar_tensores(opciones(**k), forma, 512)

    for filas in (1, 2):
        comprobar(negative_prompt_embeds=torch.ones(filas, 512))
    for mala in (torch.ones(3, 512), torch.ones(2, 511), torch.full((1, 512), torch.nan)):
        with pytest.raises(ValueError, match='condición negativa'):
            comprobar(negative_prompt_embeds=mala)
    with pytest.raises(ValueError, match='ruido inicial'):
        comprobar(latents=torch.full(forma, torch.inf))
    comprobar(generator=n)
    comprobar(generator=n[0])
    with pytest.raises(ValueError, match='2 sonidos y hay 1'):
        comprobar(generator=n[:1])
    mascara = torch.arange(32) == 5
    comprobar(sonido=tono(FRECUENCIA), mascara=mascara)
    with pytest.raises(ValueError, match='31'):
        comprobar(sonido=tono(FRECUENCIA), mascara=mascara[:31])


@pytest.mark.parametrize('angulo', [1e-5, 1e-3, 0.5, 2.0, np.pi - 2e-3])
def test_el_camino_de_la_esfera_es_el_de_scipy(angulo):
    "Giros iguales en pasos iguales, en todos los ángulos; y la longitud de los extremos no cuenta."
    from scipy.spatial import geometric_slerp

    a, b = np.array([1.0, 0, 0]), np.array([np.cos(angulo), 0, np.sin(angulo)])
    pesos = np.linspace(0, 1, 6)
    sale = slerp(torch.tensor(3 * a)[None], torch.tensor(7 * b)[None], torch.tensor(pesos))
    assert np.abs(sale.numpy() - geometric_slerp(a, b, pesos)).max() < 1e-9

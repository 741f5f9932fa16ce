"Los cargadores que descargan: con suma buena, con suma mala, sin servidor; y la estructura del archivo de ESC-50."

import hashlib
import http.server
import io
import tarfile
import threading
import zipfile
from functools import partial

import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image

from img2audio import base_de_datos as bd
from img2audio.comun import imagenes as img
from img2audio.comun import sistema, sonidos
from img2audio.taller import fotos as fotografias
from img2audio.taller import grabaciones


@pytest.fixture
def servidor(tmp_path, monkeypatch):
    "Una carpeta servida por HTTP en la propia máquina, y una caché vacía."
    monkeypatch.delenv("IMG2AUDIO_DATOS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    carpeta = tmp_path / "web"
    carpeta.mkdir()

    class Callado(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Callado, directory=carpeta))
    threading.Thread(target=s.serve_forever, daemon=True).start()
    yield carpeta, f"http://127.0.0.1:{s.server_port}"
    s.shutdown()


def suma(archivo):
    return hashlib.sha256(archivo.read_bytes()).hexdigest()


def test_audiocaps_descargado(servidor, monkeypatch):
    carpeta, url = servidor
    (carpeta / "val.csv").write_text("audiocap_id,youtube_id,start_time,caption\n7,x,0,A dog barks\n", encoding="utf-8")
    monkeypatch.setattr(bd, "AUDIOCAPS", url)
    monkeypatch.setitem(bd._SUMAS_AUDIOCAPS, "val", suma(carpeta / "val.csv"))
    assert bd.cargar_audiocaps("val")[0] == dict(id="7", caption="A dog barks")
    (carpeta / "val.csv").unlink()
    assert len(bd.cargar_audiocaps("val")) == 1  # la segunda vez, de la caché


def test_suma_equivocada_y_servidor_ausente(servidor, tmp_path):
    carpeta, url = servidor
    (carpeta / "a.csv").write_text("otra cosa")
    with pytest.raises(ConnectionError, match="IMG2AUDIO_DATOS"):
        sistema.descargar(f"{url}/a.csv", "0" * 64)
    assert not [f for f in (tmp_path / "cache").rglob("*") if f.is_file()]  # nada a medias
    with pytest.raises(ConnectionError, match="No se pudo descargar"):
        sistema.descargar("http://127.0.0.1:9/a.csv", "0" * 64)


def test_esc10_descargado(servidor, monkeypatch):
    carpeta, url = servidor
    soundfile.write(carpeta / "a.wav", np.zeros(44100, np.float32), 44100)
    meta = (
        "filename,fold,target,category,esc10,src_file,take\n1-100-A-0.wav,1,0,dog,True,100,A\n"
        "2-200-A-5.wav,2,5,cat,False,200,A\n4-300-B-1.wav,4,1,rooster,True,300,B\n"
    )
    licencias = (
        "101 - Dog:\n- [1-100-A.ogg]: clip derived from a.wav (http://x) by a [CC0]\n"
        "- [2-200-A.ogg]: clip derived from b.wav (http://y) by b [CC-BY-NC]\n"
    )
    with zipfile.ZipFile(carpeta / "esc.zip", "w") as z:
        z.writestr("ESC-50-master/meta/esc50.csv", meta)
        z.writestr("ESC-50-master/LICENSE", licencias)
        for n in ("1-100-A-0", "2-200-A-5", "4-300-B-1"):
            z.write(carpeta / "a.wav", f"ESC-50-master/audio/{n}.wav")
    monkeypatch.setattr(grabaciones, "ESC50", f"{url}/esc.zip")
    monkeypatch.setattr(grabaciones, "SUMA_ESC50", suma(carpeta / "esc.zip"))
    filas = grabaciones.cargar_esc10((1, 2, 3))
    assert [(f["clase"], f["fold"], f["grabacion"]) for f in filas] == [("dog_bark", 1, "100")]
    assert sonidos.leer_audio(filas[0]["archivo"]).shape == (16_000,)
    assert [f["clase"] for f in grabaciones.cargar_esc10((4,))] == ["rooster"]
    # la del gato no deja usarse comercialmente
    assert [f["clase"] for f in grabaciones.cargar_esc50((1, 2))] == ["dog_bark"]
    assert [f["clase"] for f in grabaciones.cargar_esc50((1, 2), ("CC-BY-NC",))] == ["cat"]


def test_carpeta_de_datos_que_no_existe(monkeypatch, tmp_path):
    monkeypatch.setenv("IMG2AUDIO_DATOS", str(tmp_path / "nada"))
    with pytest.raises(FileNotFoundError, match="IMG2AUDIO_DATOS"):
        sistema.carpeta_datos()


def test_los_datos_de_la_mision_hasta_la_comparacion(tmp_path, monkeypatch):
    """AudioCaps, WIT y Conceptual Captions de archivos propios, por el mismo camino que los de `base`:
    reparto, embeddings y comparación."""
    from img2audio.taller import comparacion

    dibujos = [d["archivo"] for d in img.cargar_dibujos("train")][:80]
    (tmp_path / "audiocaps").mkdir()
    for parte, n in dict(train=40, val=12, test=12).items():
        filas = "".join(f"{i},y,0,A {parte} sound number {i}\n" for i in range(n))
        (tmp_path / "audiocaps" / f"{parte}.csv").write_text(
            "audiocap_id,youtube_id,start_time,caption\n" + filas, encoding="utf-8"
        )
    monkeypatch.setenv("IMG2AUDIO_DATOS", str(tmp_path))
    wit = "language\timage_url\tcaption_reference_description\tcaption_alt_text_description\n" + "".join(
        f"es\t{f}\tpie {i}\t\n" for i, f in enumerate(dibujos[:40])
    )
    (tmp_path / "wit.tsv").write_text(wit + "es\tno_existe.png\tuna imagen que ya no está\t\n", encoding="utf-8")
    (tmp_path / "cc.tsv").write_text(
        "".join(f"caption {i}\t{f}\n" for i, f in enumerate(dibujos[40:])), encoding="utf-8"
    )
    textos, imagenes = comparacion.datos_mision(100, str(tmp_path / "wit.tsv"), str(tmp_path / "cc.tsv"))
    assert (
        len(textos) == 64
        and len(imagenes) == 80
        and set(textos.parte) == set(imagenes.parte) == set(comparacion.PARTES)
    )
    textos, imagenes = comparacion.embeber(textos, imagenes)
    c = comparacion.comparar(
        comparacion.crear_bases(textos, imagenes),
        comparacion.crear_pruebas(textos, imagenes),
        semillas=(0,),
        ocultas=(256,),
        ejemplos=100,
        progreso=False,
    )
    assert set(c.filas.base) == {"textos", "imágenes", "ambas"} and set(c.filas.conjunto) == {
        "textos",
        "WIT",
        "Conceptual",
    }


def jpeg(ancho: int, alto: int, color: str = "red") -> bytes:
    salida = io.BytesIO()
    Image.new("RGB", (ancho, alto), color).save(salida, "JPEG")
    return salida.getvalue()


def en_zip(archivo, miembros: dict[str, bytes]) -> None:
    with zipfile.ZipFile(archivo, "w") as z:
        for ruta, datos in miembros.items():
            z.writestr(ruta, datos)


def en_tar(miembros: dict[str, bytes]) -> bytes:
    salida = io.BytesIO()
    with tarfile.open(fileobj=salida, mode="w:gz") as t:
        for ruta, datos in miembros.items():
            suyo = tarfile.TarInfo(ruta)
            suyo.size = len(datos)
            t.addfile(suyo, io.BytesIO(datos))
    return salida.getvalue()


def test_fotos_descargadas(servidor, monkeypatch):
    """De un zip con un tar dentro y restos de macOS (Caltech), de un tar suelto (Imagenette) y de uno con otras
    carpetas que las de la lista (tiempo). Lo que falta, no se abre o no se puede bajar, se dice."""
    carpeta, url = servidor
    lista = pd.read_csv(sistema.PAQUETE / "fotos" / "publicas.csv")
    una, otra, lluvia = (lista[lista.fuente == f].iloc[0] for f in ("caltech101", "imagenette", "tiempo"))
    rota, nombre = lista[(lista.fuente == "imagenette")].iloc[1], lluvia.ruta.rpartition("/")[2]
    for fuente in fotografias.FOTOS_PUBLICAS:
        en_zip(carpeta / f"{fuente}.zip", {"README": b"nada"})
        monkeypatch.setitem(fotografias.FOTOS_PUBLICAS, fuente, f"{url}/{fuente}.zip")
    (carpeta / "fuego.zip").unlink()
    restos = b"\0\5\26\7\0\2\0\0Mac OS X"
    en_zip(
        carpeta / "caltech101.zip",
        {
            "caltech-101/": b"",
            "__MACOSX/._caltech-101": restos,
            "caltech-101/Annotations.tar": en_tar({"Annotations/x.mat": b"caja"}),
            "__MACOSX/caltech-101/._Annotations.tar": restos,
            "caltech-101/101_ObjectCategories.tar.gz": en_tar(
                {una.ruta: jpeg(300, 200), una.ruta.replace("image", "._image"): restos}
            ),
            "__MACOSX/caltech-101/._101_ObjectCategories.tar.gz": restos,
            "caltech-101/no_lo_es.tar.gz": b"ni tar ni zip",
            "caltech-101/show_annotation.m": b"%",
        },
    )
    (carpeta / "imagenette.zip").write_bytes(
        en_tar(
            {f"imagenette2-160/{otra.ruta}": jpeg(100, 160), f"imagenette2-160/{rota.ruta}": b"esto no es una imagen"}
        )
    )
    en_zip(
        carpeta / "dentro.zip", {f"dataset2/dataset2/{nombre}": jpeg(64, 64), f"__MACOSX/dataset2/._{nombre}": restos}
    )
    en_zip(carpeta / "tiempo.zip", {"Multi-class Weather/dataset2.zip": (carpeta / "dentro.zip").read_bytes()})
    monkeypatch.setitem(fotografias.SUMAS_FOTOS, "imagenette", suma(carpeta / "imagenette.zip"))
    with pytest.warns(UserWarning, match=f"Faltan {len(lista) - 3} de las {len(lista)}") as avisos:
        fotos = fotografias.fotos_descargadas()
    assert set(fotos.ruta) == {una.ruta, otra.ruta, lluvia.ruta}
    assert [Image.open(f).size for f in fotos.sort_values("fuente").archivo] == [(192, 128), (100, 160), (64, 64)]
    dicho = [str(a.message) for a in avisos]
    assert len(dicho) == 2 and "No se pudo descargar" in dicho[0] and "fuego.zip" in dicho[0]
    for fuente, hay in dict(caltech101=1, imagenette=1, tiempo=1, fuego=0, galliformespectra=0).items():
        suyas = (lista.fuente == fuente).sum()
        assert f"{fuente}, {suyas - hay} de {suyas}" in dicho[1]
    for f in carpeta.glob("*.zip"):
        f.unlink()
    with pytest.warns(UserWarning, match="Faltan"):
        filas = [f for p in ("train", "test") for f in fotografias.cargar_fotos(p)]  # la segunda vez, de la caché
    assert {f["clase"] for f in filas} == {una.clase, otra.clase, lluvia.clase}


def test_fotos_sin_red(servidor, monkeypatch):
    "Si no se consigue ninguna, es un error, y no una tabla vacía."
    for fuente in fotografias.FOTOS_PUBLICAS:
        monkeypatch.setitem(fotografias.FOTOS_PUBLICAS, fuente, f"{servidor[1]}/{fuente}.zip")
    with pytest.warns(UserWarning), pytest.raises(ConnectionError, match="ninguna fotografía"):
        fotografias.fotos_descargadas()


def test_foto_con_el_mismo_nombre(tmp_path):
    "Si la ruta no está y hay varias que se llaman así, no se adivina."
    en_zip(tmp_path / "a.zip", {"x/perro/1.jpg": jpeg(9, 9), "x/gallo/1.jpg": jpeg(8, 8), "x/perro/2.jpg": jpeg(7, 7)})
    fotografias._traer(tmp_path / "a.zip", ["gallo/1.jpg", "mar/1.jpg", "mar/2.jpg"], tmp_path / "fuera", 128)
    salen = {
        f.relative_to(tmp_path / "fuera").as_posix(): Image.open(f).size for f in (tmp_path / "fuera").rglob("*.jpg")
    }
    assert salen == {"gallo/1.jpg": (8, 8), "mar/2.jpg": (7, 7)}


def test_lista_de_fotos():
    "Ninguna repetida; ninguna fuente sin dirección; lo apartado, apartado."
    lista = pd.read_csv(sistema.PAQUETE / "fotos" / "publicas.csv")
    assert set(lista.fuente) == set(fotografias.FOTOS_PUBLICAS) and set(lista.clase) <= set(bd.CLASES)
    assert not lista.ruta.duplicated().any()
    assert {(p, n > 100) for p, n in lista.particion.value_counts().items()} == {("train", True), ("test", True)}


def test_partir_nombre():
    rutas = ("a.b/001.seg.PNG", "./0.txt", "a.b/sin", ".oculto")
    assert [img.partir_nombre(r) for r in rutas] == [("a.b/001", "seg.png"), ("./0", "txt"), None, None]


def test_la_gramatica_viaja_con_el_paquete():
    "Sus frases son las de siempre: los pesos de `mini` aprendieron con ellas."
    base = bd.base_mini(400)["caption"]
    assert base[0] == 'fireworks explode very close'
    suma = "99927506ba0e79a8281ff8b3b7af3d624921926dae87e4fe5dd6763c100abbbe"
    assert hashlib.sha256("\n".join(base).encode()).hexdigest() == suma


def test_log_mel_contra_librosa():
    "De magnitud, no de potencia; y los mismos filtros, ventana y márgenes."
    import librosa
    import torch

    onda = (np.random.default_rng(0).normal(0, 0.1, 16_000) * np.linspace(0, 1, 16_000)).astype(np.float32)
    onda += np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000).astype(np.float32) * 0.3
    margen = (sonidos.VENTANA - sonidos.SALTO) // 2
    debe = librosa.feature.melspectrogram(
        y=np.pad(onda, margen, mode='reflect'),
        sr=16_000,
        n_fft=sonidos.VENTANA,
        hop_length=sonidos.SALTO,
        center=False,
        power=1,
        n_mels=sonidos.BANDAS,
        fmin=0,
        fmax=8000,
    )
    mel = sonidos.log_mel(torch.from_numpy(onda))
    assert mel.shape == (100, 64)
    assert np.allclose(mel.numpy(), np.log(np.maximum(debe, sonidos.SUELO)).T, atol=1e-3)
    doble = sonidos.log_mel(torch.from_numpy(2 * onda))
    assert np.allclose(doble - mel, np.log(2), atol=1e-2)  # el doble de amplitud, ln 2 más
    assert np.allclose(sonidos.log_mel(torch.zeros(16_000)), np.log(1e-5), atol=1e-3)  # el silencio, en el suelo

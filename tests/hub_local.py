"""Un hub de esta máquina: sirve carpetas con la parte del protocolo de huggingface.co que usa `huggingface_hub`, y se
estropea por encargo."""

import hashlib
import http.server
import json
import os
import threading
from pathlib import Path
from urllib.parse import unquote, urlsplit

GRANDE = 50_000  # bytes: de ahí en adelante, un archivo va por LFS, como los pesos en el hub


def entorno_con(hub: 'Hub', taller: Path, **mas: str) -> dict[str, str]:
    "Las variables de un usuario con otra casa y este hub, para un proceso aparte."
    limpio = {k: v for k, v in os.environ.items() if not k.startswith(('HF_', 'TRANSFORMERS_', 'IMG2AUDIO_'))}
    suyas = dict(
        HOME=str(taller / 'casa'),
        HF_HOME=str(taller / 'hf'),
        HF_ENDPOINT=hub.url,
        HF_HUB_DISABLE_TELEMETRY='1',
        NO_PROXY='127.0.0.1,localhost',
        no_proxy='127.0.0.1,localhost',
        PYTHONUTF8='1',
        OMP_NUM_THREADS='1',
    )
    return limpio | suyas | mas


class Hub:
    """Sirve repositorios: `publicar(nombre, carpeta, revision)`.

    `averias[nombre]` es `{qué: cómo}`, con `qué` una de las rutas de archivo, `api` o `todo`, y `cómo`:
    - un número: ese estado HTTP (o una pareja con sus cabeceras);
    - `corte`: a mitad del archivo se cierra la conexión, una sola vez;
    - `corto`: llega entera una respuesta con la mitad del archivo, una sola vez;
    - `atasco`: a mitad del archivo no llega nada más, hasta que se suelte `hub.suelta`;
    - `xet`: está en Xet, el otro almacén del hub (aquí no lo hay: solo se dice).
    """

    def __init__(self):
        self.repos, self.averias, self.pedidos = {}, {}, []
        self.atascado, self.suelta = threading.Event(), threading.Event()
        self.servidor = http.server.ThreadingHTTPServer(
            ('127.0.0.1', 0), type('Manejador', (Manejador,), dict(hub=self))
        )
        self.servidor.daemon_threads = True
        self.servidor.handle_error = lambda *_: None  # a quien matan a mitad no se le echa de menos
        threading.Thread(target=self.servidor.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f'http://127.0.0.1:{self.servidor.server_port}'

    def publicar(self, nombre: str, carpeta: Path, revision: str) -> None:
        "Un repositorio con una revisión, que es también su `main`."
        archivos = {f.relative_to(carpeta).as_posix(): f for f in sorted(Path(carpeta).rglob('*')) if f.is_file()}
        self.repos[nombre] = dict(revision=revision, archivos=archivos)

    def descargados(self, nombre: str) -> list[str]:
        "Los archivos de un repositorio de los que se ha pedido el contenido."
        return [ruta for metodo, n, ruta, _ in self.pedidos if metodo == 'GET' and n == nombre]

    def cerrar(self) -> None:
        self.suelta.set()
        self.servidor.shutdown()
        self.servidor.server_close()


class Manejador(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    hub: Hub

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.atender()

    def do_GET(self):
        self.atender()

    def responder(self, estado: int, cuerpo: bytes = b'', **cabeceras) -> None:
        self.send_response(estado)
        for k, v in (dict(Content_Length=len(cuerpo)) | cabeceras).items():
            self.send_header(k.replace('_', '-'), str(v))
        self.end_headers()
        if self.command == 'GET':
            self.wfile.write(cuerpo)

    def atender(self) -> None:
        "`/api/models/a/b/tree/REV`, `/api/models/a/b/revision/REV`, `/a/b/resolve/REV/ruta` y `/cdn/a/b/ruta`."
        partes = [unquote(p) for p in urlsplit(self.path).path.strip('/').split('/')]
        api, cdn = partes[:2] == ['api', 'models'], partes[0] == 'cdn'
        partes = partes[2 if api else 1 if cdn else 0 :]
        nombre, resto = '/'.join(partes[:2]), partes[2:]
        ruta = 'api' if api else '/'.join(resto if cdn else resto[2:])
        self.hub.pedidos.append((self.command, nombre, ruta, self.headers.get('Range')))
        averia = self.hub.averias.get(nombre, {})
        averia = averia.get(ruta, averia.get('todo'))
        if isinstance(averia, int):
            averia = (averia, {})
        if isinstance(averia, tuple):
            return self.responder(averia[0], b'{}', **averia[1])
        repo = self.hub.repos.get(nombre)
        if repo is None:
            return self.responder(404, X_Error_Code='RepoNotFound', X_Error_Message='Repository not found')
        if not cdn and resto[1] not in (repo['revision'], 'main'):
            return self.responder(404, X_Error_Code='RevisionNotFound')
        if api:
            suelto = dict(id=nombre, sha=repo['revision'], siblings=[])
            que = self.arbol(repo) if resto[0] == 'tree' else suelto
            return self.responder(200, json.dumps(que).encode(), Content_Type='application/json')
        if ruta not in repo['archivos']:
            return self.responder(404, X_Error_Code='EntryNotFound', X_Repo_Commit=repo['revision'])
        datos = repo['archivos'][ruta].read_bytes()
        xet = dict(X_Xet_Hash='0' * 64, X_Xet_Refresh_Route=f'{self.hub.url}/xet') if averia == 'xet' else {}
        if not cdn and len(datos) >= GRANDE:  # lo de LFS está en otra máquina, y aquí solo se dice dónde
            return self.responder(
                302,
                Location=f'http://localhost:{self.server.server_port}/cdn/{nombre}/{ruta}',
                X_Repo_Commit=repo['revision'],
                X_Linked_Etag=f'"{hashlib.sha256(datos).hexdigest()}"',
                X_Linked_Size=len(datos),
                **xet,
            )
        self.archivo(datos, averia, nombre, ruta, {} if cdn else dict(X_Repo_Commit=repo['revision']))

    def arbol(self, repo: dict) -> list[dict]:
        "Los archivos de una revisión, como los da la API."
        filas = []
        for ruta, f in repo['archivos'].items():
            datos = f.read_bytes()
            fila = dict(
                type='file', path=ruta, size=len(datos), oid=hashlib.sha1(b'blob %d\0' % len(datos) + datos).hexdigest()
            )
            if len(datos) >= GRANDE:
                fila['lfs'] = dict(oid=hashlib.sha256(datos).hexdigest(), size=len(datos), pointerSize=134)
            filas.append(fila)
        return filas

    def archivo(self, datos: bytes, averia: str | None, nombre: str, ruta: str, cabeceras: dict) -> None:
        "Un archivo, o lo que falta de él (`Range`), con su avería si es el caso."
        cabeceras |= dict(
            ETag=f'"{hashlib.sha1(b"blob %d" % len(datos) + bytes(1) + datos).hexdigest()}"', Accept_Ranges='bytes'
        )
        rango, estado = self.headers.get('Range'), 200
        if averia == 'corto' and self.command == 'GET':
            self.hub.averias[nombre].pop(ruta)
            return self.responder(200, datos[: len(datos) // 2], **cabeceras)
        if rango:
            desde = int(rango.removeprefix('bytes=').split('-')[0])
            cabeceras |= dict(Content_Range=f'bytes {desde}-{len(datos) - 1}/{len(datos)}')
            datos, estado = datos[desde:], 206
        if self.command == 'HEAD' or averia not in ('corte', 'atasco') or rango:
            return self.responder(estado, datos, **cabeceras)
        self.responder(estado, datos[: len(datos) // 2], **cabeceras | dict(Content_Length=len(datos)))
        self.wfile.flush()
        if averia == 'atasco':
            self.hub.atascado.set()
            self.hub.suelta.wait(120)
        else:
            self.hub.averias[nombre].pop(ruta)
        self.close_connection = True

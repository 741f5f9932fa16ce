"""Un servidor de 127.0.0.1 que se porta mal por encargo: `malo.rutas[ruta]` es una función que recibe la conexión y
escribe lo que quiera."""

import contextlib
import socketserver
import threading
import time


class Malo:
    def __init__(self, cifrar=None):
        self.rutas, self.pedidos, self.cabeceras, self.fin = {}, [], [], threading.Event()
        self.servidor = type(
            'Servidor', (socketserver.ThreadingTCPServer,), dict(allow_reuse_address=True, daemon_threads=True)
        )(('127.0.0.1', 0), self._atender)
        if cifrar:
            self.servidor.socket = cifrar.wrap_socket(
                self.servidor.socket, server_side=True, do_handshake_on_connect=False
            )
        self.servidor.handle_error = lambda *_: None
        threading.Thread(target=self.servidor.serve_forever, kwargs=dict(poll_interval=0.05), daemon=True).start()

    @property
    def puerto(self) -> int:
        return self.servidor.server_address[1]

    @property
    def url(self) -> str:
        return f'http://127.0.0.1:{self.puerto}'

    def cerrar(self) -> None:
        self.fin.set()
        self.servidor.shutdown()
        self.servidor.server_close()

    def _atender(self, conexion, *_) -> None:
        with contextlib.suppress(OSError, ValueError):  # lo normal: quien pide se ha ido
            conexion.settimeout(10)
            pedido = b''
            while b'\r\n\r\n' not in pedido and (trozo := conexion.recv(4096)):
                pedido += trozo
            ruta = pedido.split(b' ')[1].decode()
            self.pedidos.append(ruta)
            self.cabeceras.append(pedido.decode('latin-1'))
            self.rutas.get(ruta, lambda c: c.sendall(respuesta(b'no hay', estado='404 Not Found')))(conexion)

    def sin_parar(self, trozo: bytes, pausa: float = 0):
        "Lo mismo una y otra vez, hasta que cuelguen o pasen 20 s."

        def enviar(conexion):
            tope = time.monotonic() + 20
            while not self.fin.wait(pausa) and time.monotonic() < tope:
                conexion.sendall(trozo)

        return enviar


def respuesta(cuerpo: bytes = b'', estado: str = '200 OK', largo: int | None = None, **cabeceras) -> bytes:
    "Los bytes de una respuesta; `largo` es lo que dice medir, aunque mienta."
    cabeceras = {'Content-Length': len(cuerpo) if largo is None else largo} | {
        k.replace('_', '-'): v for k, v in cabeceras.items()
    }
    return (
        f'HTTP/1.1 {estado}\r\n'.encode()
        + b''.join(f'{k}: {v}\r\n'.encode('latin-1') for k, v in cabeceras.items() if v is not False)
        + b'\r\n'
        + cuerpo
    )

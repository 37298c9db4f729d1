# SPDX-License-Identifier: Apache-2.0
"""Keys and certificates for a test, made with the openssl command in a folder of its own.

    c = Certificates(folder)
    c.authority("ca")                       # ca.pem, ca.key
    c.leaf("server", "ca", "mx.example")    # server.pem (with key), server.crt, server.key
"""
import hashlib
import os
import ssl
import subprocess


class Certificates:
    def __init__(self, folder):
        self.folder = folder
        os.chmod(folder, 0o755)

    def path(self, name):
        return os.path.join(self.folder, name)

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    def _key(self, name, kind):
        if kind == "rsa":
            self.openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048",
                         "-out", f"{name}.key")
        else:
            self.openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
                         "-out", f"{name}.key")

    def authority(self, name, kind="ec"):
        self._key(name, kind)
        self.openssl("req", "-x509", "-new", "-key", f"{name}.key", "-subj", f"/O=Test/CN={name}",
                     "-days", "30", "-out", f"{name}.pem")

    def leaf(self, name, authority, host, kind="ec", days=20):
        """authority None: signed by itself."""
        self._key(name, kind)
        extra = self.path(f"{name}.ext")
        with open(extra, "w", encoding="ascii") as f:
            f.write(f"subjectAltName=DNS:{host}\n")
        if authority is None:
            self.openssl("req", "-x509", "-new", "-key", f"{name}.key", "-subj", f"/CN={host}",
                         "-days", str(days), "-out", f"{name}.crt")
        else:
            self.openssl("req", "-new", "-key", f"{name}.key", "-subj", f"/CN={host}", "-out", f"{name}.csr")
            self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.pem", "-CAkey",
                         f"{authority}.key", "-CAcreateserial", "-days", str(days), "-extfile", extra,
                         "-out", f"{name}.crt")
        with open(self.path(f"{name}.key"), encoding="ascii") as key, \
                open(self.path(f"{name}.crt"), encoding="ascii") as chain, \
                open(self.path(f"{name}.pem"), "w", encoding="ascii") as out:
            out.write(key.read() + chain.read())

    def fingerprint(self, name):
        """SHA-256 of the certificate, as Postfix writes it."""
        with open(self.path(f"{name}.crt"), encoding="ascii") as f:
            digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(f.read())).hexdigest().upper()
        return ":".join(digest[i:i + 2] for i in range(0, len(digest), 2))


def client_context(certificate=None, lowest=None, highest=None, ciphers=None):
    """A client that trusts everybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if certificate is not None:
        context.load_cert_chain(certificate)
    if ciphers is not None:
        context.set_ciphers(ciphers)
    if lowest is not None:
        context.minimum_version = lowest
    if highest is not None:
        context.maximum_version = highest
    return context

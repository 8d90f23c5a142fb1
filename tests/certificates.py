"""Certificates for tests: an authority, what it signs, and clients that trust it."""

import datetime
import itertools
import ssl

import trustme


class Authority:
    """Writes its own certificate and those that it issues to files in a folder."""

    def __init__(self, folder):
        self._folder, self._authority, self._numbers = folder, trustme.CA(), itertools.count()
        self.certificate = str(folder / f"authority-{id(self)}.pem")
        self._authority.cert_pem.write_to_path(self.certificate)

    def issue(self, *names, valid_for=datetime.timedelta(days=1), name=None):
        """The paths of a certificate with its chain, and of its key, both as text."""
        stem = self._folder / (name or f"{names[0]}-{next(self._numbers)}")
        now = datetime.datetime.now(datetime.timezone.utc)
        issued = self._authority.issue_cert(
            *names, not_before=min(now, now + valid_for) - datetime.timedelta(days=1), not_after=now + valid_for
        )
        certificate, key = f"{stem}.pem", f"{stem}.key"
        for number, pem in enumerate(issued.cert_chain_pems):
            pem.write_to_path(certificate, append=number > 0)
        issued.private_key_pem.write_to_path(key)
        return certificate, key

    def context(self, check_hostname=True, certificate=None):
        """For clients; `certificate` is what issue() has returned for one of them."""
        context = ssl.create_default_context(cafile=self.certificate)
        context.check_hostname = check_hostname
        if certificate is not None:
            context.load_cert_chain(*certificate)
        return context

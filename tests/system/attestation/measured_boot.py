"""Owns a make-believe measured boot: a TCG event log (PC Client Platform Firmware Profile, crypto-agile form) and the
registers of a TPM that are extended as it says. Must not know the appliance."""
import hashlib
import struct
import subprocess

EV_NO_ACTION, EV_SEPARATOR, EV_S_CRTM_VERSION, EV_IPL = 3, 4, 8, 13
EV_EFI_VARIABLE_DRIVER_CONFIG, EV_EFI_BOOT_SERVICES_APPLICATION = 0x80000001, 0x80000003
SHA256 = 0x000B


class EventLog:
    def __init__(self):
        spec = b"Spec ID Event03\0" + struct.pack("<IBBBBI", 0, 0, 2, 0, 2, 1) + struct.pack("<HH", SHA256, 32) + b"\0"
        self.octets = struct.pack("<II20sI", 0, EV_NO_ACTION, bytes(20), len(spec)) + spec
        self.extends = []

    def measure(self, register, kind, data):
        digest = hashlib.sha256(data).digest()
        self.octets += struct.pack("<IIIH", register, kind, 1, SHA256) + digest + struct.pack("<I", len(data)) + data
        self.extends.append((register, digest.hex()))

    def extend(self, tcti, since=0):
        """Extends the TPM as the log says, from its event number `since` on; answers how many there are now."""
        for register, digest in self.extends[since:]:
            subprocess.run(["tpm2_pcrextend", "-T", tcti, f"{register}:sha256={digest}"], check=True, capture_output=True)
        return len(self.extends)


def good_boot():
    log = EventLog()
    log.measure(0, EV_S_CRTM_VERSION, "firmware 1.4.2\0".encode("utf-16-le"))
    log.measure(7, EV_EFI_VARIABLE_DRIVER_CONFIG, b"SecureBoot=1")
    log.measure(4, EV_EFI_BOOT_SERVICES_APPLICATION, b"shim 15.8")
    for register in range(8):
        log.measure(register, EV_SEPARATOR, bytes(4))
    log.measure(4, EV_EFI_BOOT_SERVICES_APPLICATION, b"grub 2.06")
    return log

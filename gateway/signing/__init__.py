"""What the gateway itself signs: npm's registry signature. No I/O and no clock: keys and times come in as arguments."""

from gateway.signing.registry_key import RegistryKey, RegistryKeys, Signer, read_key

__all__ = ["RegistryKey", "RegistryKeys", "Signer", "read_key"]

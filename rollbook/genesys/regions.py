"""Regions and the hosts that serve them. Pure; source: the platform's SDK, CLI and Terraform provider."""

from __future__ import annotations

import difflib
import re
from typing import Final

from rollbook.genesys.errors import SettingsError

DOMAINS: Final = {
    "us-east-1": "mypurecloud.com",
    "us-east-2": "use2.us-gov-pure.cloud",
    "us-west-2": "usw2.pure.cloud",
    "ca-central-1": "cac1.pure.cloud",
    "mx-central-1": "mxc1.pure.cloud",
    "sa-east-1": "sae1.pure.cloud",
    "eu-central-1": "mypurecloud.de",
    "eu-central-2": "euc2.pure.cloud",
    "eu-west-1": "mypurecloud.ie",
    "eu-west-2": "euw2.pure.cloud",
    "eusc-de-east-1": "edee1.eusc-pure.cloud",
    "me-central-1": "mec1.pure.cloud",
    "ap-south-1": "aps1.pure.cloud",
    "ap-southeast-1": "apse1.pure.cloud",
    "ap-southeast-2": "mypurecloud.com.au",
    "ap-northeast-1": "mypurecloud.jp",
    "ap-northeast-2": "apne2.pure.cloud",
    "ap-northeast-3": "apne3.pure.cloud",
}
# The platform's own, for those who build it.
INTERNAL: Final = frozenset({"inindca.com", "inintca.com"})
# A region younger than this file has a name below one of these, all of which are the platform's alone. Any other domain
# is given in full (GENESYSCLOUD_API_URL, GENESYSCLOUD_LOGIN_URL): a secret goes to no host that only looks right.
ZONES: Final = ("pure.cloud", "us-gov-pure.cloud", "eusc-pure.cloud")
_YOUNGER: Final = re.compile(rf"[a-z0-9]+(?:-[a-z0-9]+)*\.(?:{'|'.join(map(re.escape, ZONES))})")


def domain_of(region: str) -> str:
    """The domain of a region's name, or of a domain itself (with or without `api.` or `https://`).

    Raises SettingsError, which names what was given and what comes near it.
    """
    name = region.strip().lower().removeprefix("https://").rstrip("/")
    for prefix in ("api.", "login.", "apps."):
        name = name.removeprefix(prefix)
    if name in DOMAINS:
        return DOMAINS[name]
    if name in DOMAINS.values() or name in INTERNAL or _YOUNGER.fullmatch(name):
        return name
    known = [*DOMAINS, *DOMAINS.values()]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known regions: {', '.join(DOMAINS)}"
    shown = "" if "@" in region else f" {region!r}"
    raise SettingsError(
        f"unknown region{shown}; {hint} (for any other host, set GENESYSCLOUD_API_URL and GENESYSCLOUD_LOGIN_URL)"
    )


def hosts(region: str) -> tuple[str, str]:
    """(the API's address, the sign-in address) of a region."""
    domain = domain_of(region)
    return f"https://api.{domain}", f"https://login.{domain}"

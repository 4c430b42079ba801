# Closes the server, at every boot, before any ordinary service starts.
set -eu
closed='nft list chain inet filter input 2>/dev/null | grep -q "policy drop"'

# Whatever fails, now or at a later boot: sshd starts only behind a firewall.
guard=/etc/systemd/system/ssh.service.d/closed-first.conf
if [ ! -e "$guard" ]; then
    mkdir -p "${guard%/*}"
    printf '[Service]\nExecStartPre=/bin/sh -c %s\n' "'$closed'" >"$guard"
    systemctl daemon-reload
fi

# At later boots nftables.service has loaded the rules.
if sh -c "$closed"; then
    exit
fi

if ! command -v nft >/dev/null; then
    apt-get --quiet update
    DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes --no-install-recommends install nftables
fi

# Until the rules proper are loaded, at the end of the first boot.
nft --file - <<'RULES'
flush ruleset
table inet filter {
    chain input {
        type filter hook input priority filter; policy drop;
        ct state established,related accept
        iif lo accept
        icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } accept
    }
    chain forward {
        type filter hook forward priority filter; policy drop;
    }
}
RULES

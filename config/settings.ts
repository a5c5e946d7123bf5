/** A setting: what it is called, what it means, and how its text becomes a value. */
export interface Setting<T> {
  readonly name: string
  /** For the README's table: what it means, its unit and bounds. */
  readonly meaning: string
  /** As text; null where there is none. */
  readonly fallback: string | null
  /** @throws Error whose message ends the sentence "<name> …" and never repeats the value. */
  parse (text: string): T
}

function setting<T> (name: string, fallback: string | null, meaning: string, parse: (text: string) => T): Setting<T> {
  return { name: `LATCHKEY_${name}`, fallback, meaning, parse }
}

const asText = (text: string) => text

function asInteger (least: number, most: number) {
  return (text: string): number => {
    const value = Number(text)
    if (!/^\d{1,15}$/.test(text) || value < least || value > most) {
      throw new Error(`must be a whole number from ${least} to ${most}`)
    }
    return value
  }
}

function asOneOf<const T extends string> (...words: readonly T[]) {
  return (text: string): T => {
    const word = words.find((candidate) => candidate === text)
    if (word === undefined) throw new Error(`must be one of ${words.join(', ')}`)
    return word
  }
}

function asList (text: string): string[] {
  return text.split(',').map((item) => item.trim()).filter((item) => item !== '')
}

function asHosts (text: string): string[] {
  const hosts = asList(text)
  if (hosts.every((host) => /^(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i.test(host))) return hosts
  throw new Error('must be host names or addresses, with or without a port, such as hooks.example.com:8443 or [::1]:9000')
}

/** An address to listen on: `127.0.0.1:8200`, `[::1]:8200`. Port 0 takes a free one. */
export interface ListenAddress {
  readonly host: string
  readonly port: number
}

function asListenAddress (text: string): ListenAddress {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]/\s]+)):(\d{1,5})$/i.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined || port > 65_535) throw new Error('must be an address and a port, such as 127.0.0.1:8200 or [::1]:8200')
  return { host, port }
}

function asStore (text: string): string {
  if (text === 'sqlite' || /^(?:redis|rediss|redis\+sentinel|rediss\+sentinel):\/\//.test(text)) return text
  throw new Error('must be sqlite, or a URL that begins with redis://, rediss:// or redis+sentinel://')
}

/** Every setting there is. A LATCHKEY_ name that is not here is refused. */
export const settings = {
  listen: setting('LISTEN', '127.0.0.1:8200', 'Address and port to listen on; port 0 takes a free one.', asListenAddress),
  dataDir: setting('DATA_DIR', './data', 'Folder for the SQLite file, the development master key and the audit file.', asText),
  store: setting('STORE', 'sqlite', '`sqlite`, or `redis://…`, `rediss://…`, `redis+sentinel://host:port,host:port/name`.', asStore),
  auditFile: setting('AUDIT_FILE', '', 'Audit file, in a folder that exists; `stdout` for standard output. Empty: `audit.log` in the data folder.', asText),
  auditSync: setting('AUDIT_SYNC', 'kernel', '`kernel`: an entry is handed to the operating system before the answer; `group`: and flushed to the disk, many at a time.', asOneOf('kernel', 'group')),
  masterKeyFile: setting('MASTER_KEY_FILE', '', 'File of 32 bytes, mode 0600, that seals the root key. Empty in development: made in the data folder.', asText),
  masterKey: setting('MASTER_KEY', null, 'The master key itself, 32 bytes in base64; a file is better, since a start environment can be read.', asText),
  configDir: setting('CONFIG_DIR', null, 'Folder whose bootstrap is applied at start; in development `config/example`.', asText),
  rootTokenFile: setting('ROOT_TOKEN_FILE', null, 'Where a root token of one hour is written at start, mode 0600, if no such file is there.', asText),
  tlsCertFile: setting('TLS_CERT_FILE', null, 'Certificate chain, PEM. Read again on SIGHUP.', asText),
  tlsKeyFile: setting('TLS_KEY_FILE', null, 'Private key, PEM. Keep it from other users. Read again on SIGHUP.', asText),
  tlsClientCaFile: setting('TLS_CLIENT_CA_FILE', null, 'Authorities whose client certificates are required, PEM.', asText),
  insecureHttp: setting('INSECURE_HTTP', 'no', '`yes`: plain HTTP beyond loopback, for a broker behind a proxy that ends TLS. Shown in the start log.', asOneOf('yes', 'no')),
  trustedProxies: setting('TRUSTED_PROXIES', '', 'Addresses or CIDR blocks, comma separated, whose X-Forwarded-For is believed.', asList),
  leaseTtlSeconds: setting('LEASE_TTL_SECONDS', '2764800', 'TTL of tokens and leases where nothing else says one; seconds, 60 to 315360000.', asInteger(60, 315_360_000)),
  leaseTtlSecondsMax: setting('LEASE_TTL_SECONDS_MAX', '2764800', 'Longest TTL; seconds, 60 to 315360000.', asInteger(60, 315_360_000)),
  awsIdentity: setting('AWS_IDENTITY', 'static', 'Whose AWS credentials the broker assumes roles with: `static` (config/root), `environment`, `web-identity`, `container`, `instance`; in development also `chain`, the SDK\'s search.', asOneOf('static', 'environment', 'web-identity', 'container', 'instance', 'chain')),
  awsRegion: setting('AWS_REGION', null, 'Region where an AWS mount names none. Not set: AWS_REGION, AWS_DEFAULT_REGION, us-east-1.', asText),
  awsEndpoints: setting('AWS_ENDPOINTS', '', 'Host names besides AWS\'s own that an STS endpoint may have, comma separated.', asHosts),
  notifierHosts: setting('NOTIFIER_HOSTS', '', 'Hosts, with or without a port, that notifiers may reach at private addresses, comma separated; listed loopback ones also by http.', asHosts),
  clusterName: setting('CLUSTER_NAME', 'latchkey', 'Name shown by health and seal-status; 1 to 64 letters, digits, `.`, `_`, `-`.', asClusterName),
  logLevel: setting('LOG_LEVEL', 'info', '`trace`, `debug`, `info`, `warn`, `error` or `fatal`.', asOneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal')),
  emulator: setting('EMULATOR', null, 'Development only: `on` starts the local AWS emulator, a port starts it there, a URL uses one that runs, `off` uses none.', asEmulator),
  devRootToken: setting('DEV_ROOT_TOKEN', null, 'Development only: a root token of this value; 8 characters or more, without dots.', asDevToken)
} as const

function asClusterName (text: string): string {
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(text)) throw new Error('must be 1 to 64 letters, digits, ".", "_" or "-"')
  return text
}

/** Where the local AWS emulator is. */
export type EmulatorChoice =
  | { readonly kind: 'off' }
  | { readonly kind: 'start', readonly port: number }
  | { readonly kind: 'running', readonly url: string }

function asEmulator (text: string): EmulatorChoice {
  if (text === 'off') return { kind: 'off' }
  if (text === 'on') return { kind: 'start', port: 0 }
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return { kind: 'start', port: Number(text) }
  if (/^http:\/\/(?:127\.\d+\.\d+\.\d+|localhost|\[::1\]):\d{1,5}\/?$/.test(text)) return { kind: 'running', url: text.replace(/\/$/, '') }
  throw new Error('must be on, off, a port, or a URL on loopback such as http://127.0.0.1:4566')
}

function asDevToken (text: string): string {
  if (!/^[A-Za-z0-9_-]{8,256}$/.test(text)) throw new Error('must be 8 to 256 letters, digits, "_" or "-"')
  return text
}

import { settings, type EmulatorChoice } from './settings.ts'

type Values = { readonly [K in keyof typeof settings]: ReturnType<(typeof settings)[K]['parse']> | null }

/** Everything that can be set about a start of the broker. null: not set, and there is no default. */
export interface Config extends Values {
  readonly development: boolean
}

type Environment = Readonly<Record<string, string | undefined>>

/** Why a start is refused: every problem, one a line. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'

  constructor (problems: readonly string[]) {
    super(`the configuration is refused:${problems.map((problem) => `\n  - ${problem}`).join('')}`)
  }
}

/** Variables of the environment that would weaken the process or lead it elsewhere (SEC-164, SEC-363). */
const refusedVariables = ['NODE_TLS_REJECT_UNAUTHORIZED', 'SSLKEYLOGFILE']

/** Read by the command line, which may be used in the same environment. */
export const namesOfCommandLine: ReadonlySet<string> = new Set([
  'ADDR', 'CA_FILE', 'CLIENT_CERT_FILE', 'CLIENT_KEY_FILE', 'TOKEN', 'TOKEN_FILE', 'ROLE_ID', 'ROLE_ID_FILE',
  'SECRET_ID', 'SECRET_ID_FILE', 'WRAPPED_BY', 'AUTH_MOUNT', 'AUTH_MOUNT_FILE'
].map((name) => `LATCHKEY_${name}`))

const flagNames: ReadonlyMap<string, keyof typeof settings> = new Map([
  ['--store', 'store'],
  ['--listen', 'listen'],
  ['--data-dir', 'dataDir'],
  ['--config-dir', 'configDir'],
  ['--emulator', 'emulator']
])

/**
 * Reads the settings from LATCHKEY_ variables and from flags, which win. Only this function reads
 * the environment.
 *
 * @throws ConfigError naming every problem at once, and never a value: it may be a secret.
 */
export function loadConfig (environment: Environment, flags: readonly string[]): Config {
  const problems: string[] = []
  const { texts, development } = readFlags(flags, problems)
  const known = new Set<string>([...Object.values(settings).map(({ name }) => name), ...namesOfCommandLine])
  for (const name of Object.keys(environment)) {
    if (name.startsWith('LATCHKEY_') && !known.has(name)) problems.push(`${name} is no setting`)
    if (refusedVariables.includes(name)) problems.push(`${name} is not allowed`)
  }
  const values: Record<string, unknown> = {}
  for (const [key, setting] of Object.entries(settings)) {
    const text = texts.get(key) ?? (environment[setting.name] || setting.fallback)
    try {
      values[key] = text === null || text === undefined ? null : setting.parse(text)
    } catch (error) {
      values[key] = null
      problems.push(`${setting.name} ${error instanceof Error ? error.message : 'is malformed'}`)
    }
  }
  values['awsRegion'] ??= environment['AWS_REGION'] || environment['AWS_DEFAULT_REGION'] || 'us-east-1'
  const config = { ...values, development } as unknown as Config
  problems.push(...conflicts(config, environment))
  if (problems.length > 0) throw new ConfigError(problems)
  return Object.freeze(config)
}

function readFlags (flags: readonly string[], problems: string[]) {
  const texts = new Map<string, string>()
  let development = false
  for (let i = 0; i < flags.length; i++) {
    const [name = '', inline] = (flags[i] ?? '').split(/=(.*)/s)
    if (name === '--development') {
      development = true
      continue
    }
    const key = flagNames.get(name)
    const value = inline ?? flags[++i]
    if (key === undefined) problems.push(`${name} is no flag; known are --development, ${[...flagNames.keys()].join(', ')}`)
    else if (value === undefined) problems.push(`${name} needs a value`)
    else texts.set(key, value)
  }
  return { texts, development }
}

const loopback = /^(?:127\.\d+\.\d+\.\d+|::1|localhost)$/

/** Settings that do not go together. */
function conflicts (config: Config, environment: Environment): string[] {
  const problems: string[] = []
  const isLoopback = config.listen === null || loopback.test(config.listen.host)
  const hasTls = config.tlsCertFile !== null
  if ((config.tlsCertFile === null) !== (config.tlsKeyFile === null)) {
    problems.push('LATCHKEY_TLS_CERT_FILE and LATCHKEY_TLS_KEY_FILE are set together or not at all')
  }
  if (config.tlsClientCaFile !== null && !hasTls) problems.push('LATCHKEY_TLS_CLIENT_CA_FILE needs LATCHKEY_TLS_CERT_FILE')
  if (!isLoopback && !hasTls && config.insecureHttp !== 'yes') {
    problems.push('LATCHKEY_LISTEN beyond loopback needs TLS (LATCHKEY_TLS_CERT_FILE), or LATCHKEY_INSECURE_HTTP=yes behind a proxy that ends it')
  }
  if ((config.leaseTtlSeconds ?? 0) > (config.leaseTtlSecondsMax ?? 0)) {
    problems.push('LATCHKEY_LEASE_TTL_SECONDS is greater than LATCHKEY_LEASE_TTL_SECONDS_MAX')
  }
  if (config.masterKey !== null && config.masterKeyFile !== '') {
    problems.push('LATCHKEY_MASTER_KEY and LATCHKEY_MASTER_KEY_FILE are not set together')
  }
  const ofMode = config.development ? developmentConflicts(environment, isLoopback) : productionConflicts(config)
  return [...problems, ...ofMode]
}

function developmentConflicts (environment: Environment, isLoopback: boolean): string[] {
  const problems: string[] = []
  if (environment['NODE_ENV'] === 'production') problems.push('--development does not go with NODE_ENV=production')
  if (!isLoopback) problems.push('--development listens on loopback only')
  return problems
}

function productionConflicts (config: Config): string[] {
  const problems: string[] = []
  if (config.awsIdentity === 'chain') problems.push('LATCHKEY_AWS_IDENTITY=chain is for --development only')
  if (config.devRootToken !== null) problems.push('LATCHKEY_DEV_ROOT_TOKEN is for --development only')
  if (config.emulator !== null && config.emulator.kind !== 'off') problems.push('LATCHKEY_EMULATOR is for --development only')
  if (config.masterKey === null && config.masterKeyFile === '') {
    problems.push('LATCHKEY_MASTER_KEY_FILE has to name the file of the master key')
  }
  return problems
}

/** The emulator's place where nothing was chosen: started on a free port in development, none otherwise. */
export function emulatorChoice ({ emulator, development }: Config): EmulatorChoice {
  return emulator ?? (development ? { kind: 'start', port: 0 } : { kind: 'off' })
}

import { readFileSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import type { Identities } from './identities.ts'
import { startEmulator, type EmulatorOptions } from './server.ts'

const help = `An AWS for one machine: STS, IAM, EC2, Route 53 and S3 on one loopback endpoint. It is not AWS.

  --port N             0 takes a free port; 4566 unless given
  --host ADDRESS       a loopback address; 127.0.0.1 unless given
  --seed FILE          accounts, users, roles; src/emulator/seed/example-seed.json unless given
  --state FILE         keeps the secret of generated keys, so that they are as before (made with mode 0600)
  --clock INSTANT      begin at this instant (ISO 8601)
  --delay MS           added to every answer
  --propagation MS     how long a region takes to see a change of IAM; "never" for not at all
  --jitter MS          added to that, at random
  --sts-rate N         requests to STS per second, account and region; unlimited unless given
  --token-bytes N      makes session tokens at least this long
  --rng-seed TEXT      makes ids, jitter and chances the same at every start
  --json               print the endpoint and the identities as one line of JSON
`

const defaultPort = 4566

try {
  await main()
} catch (error) {
  process.stderr.write(`emulator: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}

function readFlags () {
  return parseArgs({
    options: {
      port: { type: 'string' },
      host: { type: 'string' },
      seed: { type: 'string' },
      state: { type: 'string' },
      clock: { type: 'string' },
      delay: { type: 'string' },
      propagation: { type: 'string' },
      jitter: { type: 'string' },
      'sts-rate': { type: 'string' },
      'token-bytes': { type: 'string' },
      'rng-seed': { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false }
    }
  }).values
}

async function main (): Promise<void> {
  const values = readFlags()
  if (values.help) {
    process.stdout.write(help)
    return
  }
  const startedAtMs = Date.now()
  const firstMs = values.clock === undefined ? startedAtMs : instant(values.clock)
  const emulator = await startEmulator({
    port: numberOf('port', values.port) ?? defaultPort,
    ...values.host === undefined ? {} : { host: values.host },
    ...seedOptions(values.seed),
    ...values.state === undefined ? {} : { stateFile: values.state },
    ...values.clock === undefined ? {} : { clock: () => Date.now() - startedAtMs + firstMs },
    ...optional('delayMs', numberOf('delay', values.delay)),
    propagation: {
      delayMs: values.propagation === 'never' ? Infinity : numberOf('propagation', values.propagation) ?? 0,
      jitterMs: numberOf('jitter', values.jitter) ?? 0
    },
    ...optional('stsRequestsPerSecond', numberOf('sts-rate', values['sts-rate'])),
    ...optional('sessionTokenBytesMin', numberOf('token-bytes', values['token-bytes'])),
    ...values['rng-seed'] === undefined ? {} : { rngSeed: values['rng-seed'] },
    report: (error) => process.stderr.write(`emulator: ${error instanceof Error ? error.stack : String(error)}\n`)
  })
  const { endpoint, port, identities } = emulator
  process.stdout.write(values.json
    ? `${JSON.stringify({ notice: 'an AWS emulator; this is not AWS', endpoint, port, ...identities })}\n`
    : listing(endpoint, identities))
  const stop = (): void => {
    void emulator.close().then(() => process.exit(0))
  }
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
}

function seedOptions (file: string | undefined): Pick<EmulatorOptions, 'seed' | 'seedFolder'> {
  if (file === undefined) return {}
  const seed: unknown = JSON.parse(readFileSync(file, 'utf8'))
  return { seed, seedFolder: path.dirname(file) }
}

function optional<Name extends string> (name: Name, value: number | undefined): { [name in Name]?: number } {
  return value === undefined ? {} : { [name]: value } as { [name in Name]?: number }
}

function numberOf (flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^\d+$/.test(text)) throw new Error(`--${flag}: a whole number is needed`)
  return Number(text)
}

function instant (text: string): number {
  const ms = Date.parse(text)
  if (Number.isNaN(ms)) throw new Error('--clock: an instant as 2026-01-31T12:00:00Z is needed')
  return ms
}

function listing (endpoint: string, { accounts }: Identities): string {
  const lines = ['This is an AWS emulator. It is not AWS: nothing here reaches, costs or proves anything there.', `endpoint  ${endpoint}`]
  for (const account of accounts) {
    lines.push('', `account   ${account.id}${account.alias === null ? '' : `  (${account.alias})`}`)
    for (const { accessKeyId, secretAccessKey } of account.rootAccessKeys) lines.push(`  root    ${accessKeyId} ${secretAccessKey}`)
    for (const user of account.users) {
      lines.push(`  user    ${user.arn}`)
      for (const { accessKeyId, secretAccessKey } of user.accessKeys) lines.push(`          ${accessKeyId} ${secretAccessKey}`)
    }
    for (const role of account.roles) {
      lines.push(`  role    ${role.arn}`)
      for (const externalId of role.externalIds) lines.push(`          external id ${externalId}`)
    }
  }
  return `${lines.join('\n')}\n`
}

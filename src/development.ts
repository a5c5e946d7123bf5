import path from 'node:path'
import { emulatorChoice, type Config } from '../config/config.ts'
import type { App } from './app.ts'
import type { JsonObject } from './core/json.ts'
import { startEmulator, type Emulator } from './emulator/server.ts'
import { asOperator, makeRootToken } from './provision.ts'

/** What a development start adds to a broker. */
export interface Development {
  /** Prints what to try, with values that work. */
  announce (address: string): void
  close (): Promise<void>
}

const region = 'us-east-1'
const secretIdTtl = '4h'

/** The keys of the emulated user that the broker assumes roles with. */
interface BrokerKeys {
  readonly endpoint: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

/**
 * Makes the example work without an AWS account: starts or finds the emulator, points the AWS
 * engine at it, and mints a secret_id to log in with. Identities of the emulator are kept in the
 * data folder, so that a second start finds everything as it was.
 */
export async function prepareDevelopment (app: App, config: Config): Promise<Development> {
  const { emulator, keys } = await findEmulator(config)
  const chosenId = config.devRootToken
  if (chosenId !== null) await findRootToken(app, chosenId)
  const login = await asOperator(app, 'development', async (operator) => {
    if (keys !== null && app.mounts.find('secret', 'aws') !== null) {
      await operator.write('aws/config/root', {
        access_key: keys.accessKeyId,
        secret_key: keys.secretAccessKey,
        region,
        sts_endpoint: keys.endpoint,
        sts_region: region
      })
    }
    const role = await operator.find('auth/approle/role/ci/role-id')
    if (role === null) return null
    const made = await operator.write('auth/approle/role/ci/secret-id', { ttl: secretIdTtl, metadata: '{"run_id":"dev"}' })
    return made === null ? null : { roleId: textOf(role, 'role_id'), secretId: textOf(made, 'secret_id') }
  })
  return {
    announce (address) {
      process.stdout.write(login === null
        ? `Latchkey serves at ${address} (development).\n`
        : welcome(address, login, keys?.endpoint ?? null, chosenId !== null))
    },
    async close () { await emulator?.close() }
  }
}

/** Another broker of the same start may make it first. */
async function findRootToken (app: App, chosenId: string): Promise<void> {
  const isThere = async () => await app.tokens.peek(chosenId, app.clock.now()) !== null
  if (await isThere()) return
  await makeRootToken(app, { displayName: 'root', lifeMs: null, chosenId }).catch(async (error: unknown) => {
    if (!await isThere()) throw error
  })
}

function textOf (data: JsonObject, name: string): string {
  const value = data[name]
  if (typeof value !== 'string') throw new Error(`an answer of the broker to itself has no ${name}`)
  return value
}

async function findEmulator (config: Config): Promise<{ emulator: Emulator | null, keys: BrokerKeys | null }> {
  const choice = emulatorChoice(config)
  if (choice.kind === 'off') return { emulator: null, keys: null }
  if (choice.kind === 'running') return { emulator: null, keys: keysOf(choice.url, await askIdentities(choice.url)) }
  const stateFile = path.resolve(config.dataDir ?? '', 'emulator.json')
  const emulator = await startEmulator({ port: choice.port, stateFile })
  return { emulator, keys: keysOf(emulator.endpoint, emulator.identities) }
}

/** What a running emulator tells of its seed. */
async function askIdentities (url: string): Promise<Emulator['identities']> {
  const response = await fetch(`${url}/_emulator/identities`, { signal: AbortSignal.timeout(5000) }).catch((error: unknown) => {
    throw new Error(`no emulator answers at ${url}`, { cause: error })
  })
  if (!response.ok) throw new Error(`what answers at ${url} is no emulator`)
  return await response.json() as Emulator['identities']
}

function keysOf (endpoint: string, { accounts }: Emulator['identities']): BrokerKeys {
  const user = accounts.flatMap(({ users }) => users).find(({ name, accessKeys }) => name === 'latchkey' && accessKeys.length > 0)
  const key = user?.accessKeys[0]
  if (key === undefined) throw new Error('the emulator\'s seed has no user latchkey with an access key')
  return { endpoint, ...key }
}

interface LoginPair { readonly roleId: string, readonly secretId: string }

function welcome (address: string, login: LoginPair, emulator: string | null, hasRoot: boolean): string {
  const body = `{"role_id":"${login.roleId}","secret_id":"${login.secretId}"}`
  const lines = [
    '',
    `Latchkey serves at ${address} (development). AWS is ${emulator === null ? 'what aws/config/root says' : `emulated at ${emulator}`}.`,
    '',
    `  role_id    ${login.roleId}`,
    `  secret_id  ${login.secretId}   (for ${secretIdTtl})`,
    ...hasRoot ? ['  root token as given in LATCHKEY_DEV_ROOT_TOKEN'] : [],
    '',
    emulator === null ? 'Log in:' : 'Log in, fetch AWS credentials of the role ec2-only, and see whose they are:',
    '',
    `TOKEN=$(curl -s ${address}/v1/auth/approle/login -d '${body}' | sed -n 's/.*"client_token":"\\([^"]*\\)".*/\\1/p'); echo "$TOKEN"`,
    '',
    ...emulator === null ? [] : awsLines(address, emulator)
  ]
  return `${lines.join('\n')}\n`
}

/** For an emulated AWS only: what nobody gave keys for answers nothing. */
function awsLines (address: string, emulator: string): string[] {
  return [
    `export $(curl -s -H "X-Vault-Token: $TOKEN" ${address}/v1/aws/creds/ec2-only | sed -n 's/.*"access_key":"\\([^"]*\\)","secret_key":"\\([^"]*\\)","security_token":"\\([^"]*\\)".*/AWS_ACCESS_KEY_ID=\\1 AWS_SECRET_ACCESS_KEY=\\2 AWS_SESSION_TOKEN=\\3/p'); echo "$AWS_ACCESS_KEY_ID"`,
    '',
    `curl -s --aws-sigv4 aws:amz:${region}:sts --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" -H "x-amz-security-token: $AWS_SESSION_TOKEN" ${emulator}/ -d 'Action=GetCallerIdentity&Version=2011-06-15'`,
    ''
  ]
}

import type { Test } from 'tap'
import { STSClient } from '@aws-sdk/client-sts'
import { startEmulator, type Emulator, type EmulatorOptions } from '../../../src/emulator/server.ts'
import { post, type Keys } from './sign.ts'

/** An emulator for one test, with what tests want from it. */
export interface Bench {
  readonly emulator: Emulator
  /** Keys of a seeded user. */
  keysOf (userName: string): Keys
  sts (keys: Keys, region?: string): STSClient
  /** A form to IAM; the text of the answer, and the code of a refusal. */
  iam (keys: Keys, action: string, params?: Readonly<Record<string, string>>): Promise<Answer>
  ec2 (keys: Keys, action: string, params?: Readonly<Record<string, string>>, region?: string): Promise<Answer>
  admin (method: string, target: string, body?: object): Promise<unknown>
}

export interface Answer {
  readonly status: number
  readonly text: string
  readonly code: string | null
  readonly message: string | null
}

export async function startBench (t: Test, options: EmulatorOptions = {}): Promise<Bench> {
  const faults: unknown[] = []
  const emulator = await startEmulator({ report: (error) => faults.push(error), ...options })
  const clients: STSClient[] = []
  t.teardown(async () => {
    for (const client of clients) client.destroy()
    await emulator.close()
    if (faults.length > 0) throw new Error('the emulator met what should never happen', { cause: faults[0] })
  })

  type Form = Readonly<Record<string, string>>
  const form = async (service: string, keys: Keys, params: Form, region: string) => {
    const { status, text } = await post(emulator.endpoint, keys, params, { service, region })
    return { status, text, code: read(text, 'Code'), message: read(text, 'Message') }
  }

  return {
    emulator,
    keysOf (userName) {
      const user = emulator.identities.accounts.flatMap(({ users }) => users).find(({ name }) => name === userName)
      const [keys] = user?.accessKeys ?? []
      if (keys === undefined) throw new Error(`no keys for ${userName}`)
      return keys
    },
    sts (credentials, region = 'us-east-1') {
      const client = new STSClient({ endpoint: emulator.endpoint, region, credentials, maxAttempts: 1 })
      clients.push(client)
      return client
    },
    iam: (keys, action, params = {}) =>
      form('iam', keys, { Version: '2010-05-08', Action: action, ...params }, 'us-east-1'),
    ec2: (keys, action, params = {}, region = 'us-east-1') =>
      form('ec2', keys, { Version: '2016-11-15', Action: action, ...params }, region),
    async admin (method, target, body) {
      const response = await fetch(`${emulator.endpoint}/_emulator/${target}`, {
        method, ...(body === undefined ? {} : { body: JSON.stringify(body) })
      })
      return response.json()
    }
  }
}

/** The first element with this name. */
export function read (xml: string, name: string): string | null {
  const found = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1]
  return found?.replaceAll('&#39;', '\'').replaceAll('&quot;', '"').replaceAll('&lt;', '<').replaceAll('&amp;', '&') ?? null
}

/** A document of one statement. */
export function policy (statement: object | readonly object[]): object {
  return { Version: '2012-10-17', Statement: statement }
}

export const allowAll = policy({ Effect: 'Allow', Action: '*', Resource: '*' })

/** Trust of these principals, under these conditions. */
export function trust (principal: object | string, condition?: object, action: string | readonly string[] = 'sts:AssumeRole'): object {
  return policy({ Effect: 'Allow', Principal: principal, Action: action, ...(condition === undefined ? {} : { Condition: condition }) })
}

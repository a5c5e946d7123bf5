import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import type { Invocation } from './args.ts'
import type { Answer, Call } from './client.ts'
import { checkVariables, shellText, variablesOf } from './environment.ts'
import { Failure } from './failure.ts'
import { giveToJob } from './github.ts'
import { withToken } from './kept-token.ts'
import type { Parts } from './parts.ts'
import { parsePath } from './paths.ts'
import { jsonText, plainText, secretOf, tableText } from './present.ts'
import { readGivenFile } from './private-file.ts'
import { showHidden } from './screen.ts'
import { openBroker } from './session.ts'

/** As much as the broker takes. */
const inputBytesMax = 32 * 1024 * 1024

/** Some changes, such as the move of a mount, are answered when they are done. */
const changeMs = 60_000

type Asked = Pick<Call, 'method' | 'repeat'> & Partial<Pick<Call, 'body' | 'query' | 'wrapTtl' | 'waitMs'>>

/** Asks for the path of the invocation, by the present name of its mount. */
async function ask (invocation: Invocation, parts: Parts, asked: Asked, { isList = false } = {}): Promise<Answer> {
  const path = parsePath(invocation.operands[0] ?? '', { mayEndInSlash: isList })
  const { client, names } = await openBroker(invocation, parts)
  return withToken(invocation, parts, client, (token) =>
    names.below(path, token, (present) => client.ask({ ...asked, what: path.join('/'), path: present, token })))
}

/** `latchkey read`: a secret, or whatever answers to a read. */
export async function runRead (invocation: Invocation, parts: Parts): Promise<void> {
  const wrapTtl = invocation.text('wrap')
  // A read may issue credentials, so it is not sent again after it may have been done.
  const { body } = await ask(invocation, parts, {
    method: 'GET', repeat: 'unsent', query: readParameters(invocation.list('parameter')), ...(wrapTtl !== null && { wrapTtl })
  })
  await show(invocation, parts, body)
}

/** `latchkey list`: the names below a path. */
export async function runList (invocation: Invocation, parts: Parts): Promise<void> {
  const { body } = await ask(invocation, parts, { method: 'GET', repeat: 'safe', query: { list: 'true' } }, { isList: true })
  const keys = partOf(body)?.['keys']
  if (!Array.isArray(keys)) throw new Failure('failed', 'the answer is no list')
  await parts.screen.out(invocation.text('format') === 'json' ? jsonText(keys) : keys.map((key: Json) => `${showHidden(plainText(key))}\n`).join(''))
}

/** `latchkey write`: data from standard input or a file. */
export async function runWrite (invocation: Invocation, parts: Parts): Promise<void> {
  const [, source = '-'] = invocation.operands
  if (source !== '-' && !source.startsWith('@')) {
    throw new Failure('usage', 'write takes its data as JSON from standard input or from @file: what stands on the command line can be read by others')
  }
  const text = source === '-' ? await parts.readInput(inputBytesMax) : await readGivenFile(source.slice(1), 'public', inputBytesMax)
  const body = text.trim() === '' ? '{}' : text
  hideTexts(parseData(body), parts)
  const wrapTtl = invocation.text('wrap')
  const answer = await ask(invocation, parts, {
    method: 'POST', repeat: 'unsent', body, waitMs: changeMs, ...(wrapTtl !== null && { wrapTtl })
  })
  await show(invocation, parts, answer.body)
}

/** `latchkey delete`. */
export async function runDelete (invocation: Invocation, parts: Parts): Promise<void> {
  const { body } = await ask(invocation, parts, { method: 'DELETE', repeat: 'unsent', waitMs: changeMs })
  await show(invocation, parts, body)
}

function readParameters (pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(pairs.map((pair) => {
    const [, name, value] = /^([a-z_]+)=(.*)$/s.exec(pair) ?? []
    if (name === undefined || value === undefined) throw new Failure('usage', 'a parameter is written as name=value')
    return [name, value]
  }))
}

function parseData (text: string): JsonObject {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new Failure('usage', 'the data is no JSON')
  }
  if (!isJsonObject(value)) throw new Failure('usage', 'the data is no JSON object')
  return value
}

/** What is written may be secret, and may come back in a refusal. */
function hideTexts (value: Json, parts: Parts): void {
  if (typeof value === 'string') parts.screen.hide(value)
  else if (typeof value === 'object' && value !== null) for (const each of Object.values(value)) hideTexts(each as Json, parts)
}

/** What an answer is about: its data, or the token that it gives. @throws Failure `failed` for anything but an object. */
function partOf (body: JsonObject | null): JsonObject | null {
  for (const part of [body?.['data'], body?.['auth'], body?.['wrap_info']]) {
    if (isJsonObject(part)) return part
    if (part !== null && part !== undefined) throw new Failure('failed', 'the answer is none that makes sense')
  }
  return null
}

async function show (invocation: Invocation, parts: Parts, body: JsonObject | null): Promise<void> {
  const { screen } = parts
  const field = invocation.text('field')
  if (body === null) {
    if (field !== null) throw new Failure('absent', 'the answer is empty')
    return
  }
  const part = partOf(body)
  if (field !== null) {
    const text = plainText(findField(body, part, field))
    return screen.out(screen.isTerminal ? `${showHidden(text, { keepLines: true })}\n` : text)
  }
  const form = invocation.text('format')
  if (form === 'json') return screen.out(jsonText(body))
  if (form === 'env' || form === 'github') {
    const variables = checkVariables(variablesOf(secretOf(part)), invocation.list('allow-name'))
    return form === 'env' ? screen.out(shellText(variables)) : giveToJob(variables, new Set(variables.map(([name]) => name)), parts)
  }
  const leaseId = body['lease_id']
  const lease = typeof leaseId === 'string' && leaseId !== '' ? { lease_id: leaseId, lease_duration: body['lease_duration'] ?? null } : {}
  return screen.out(tableText({ ...lease, ...secretOf(part) }))
}

function findField (body: JsonObject, part: JsonObject | null, name: string): Json {
  for (const object of [secretOf(part), part ?? {}, body]) {
    const value = Object.hasOwn(object, name) ? object[name] : undefined
    if (value !== undefined) return value
  }
  throw new Failure('absent', 'the answer has no such field')
}

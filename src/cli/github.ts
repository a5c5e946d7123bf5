import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Variables } from './environment.ts'
import { codeOf, Failure } from './failure.ts'
import type { Parts } from './parts.ts'

/** Shorter texts are in everything: a runner that masked them would mask half of the log. */
const maskLengthMin = 4

/** What to mask of a secret. */
export interface Masks {
  readonly texts: readonly string[]
  /** Whether something of it is too short to be masked. */
  readonly isPartial: boolean
}

/**
 * Every line of a secret, and each in the encodings in which it may be printed: JSON, base64 wherever it
 * begins, escapes of URLs (SEC-340). A runner masks lines, never a text of several.
 */
export function masksOf (secret: string): Masks {
  const lines = secret.split(/[\r\n]+/).filter((line) => line !== '')
  const texts = new Set<string>()
  for (const text of new Set([...lines, secret, ...partsOf(secret)])) {
    const forms = [text, text.trim(), JSON.stringify(text).slice(1, -1), encodeURIComponent(text), ...base64Of(text)]
    for (const form of forms) {
      if (form.length >= maskLengthMin && !/[\r\n]/.test(form)) texts.add(form)
    }
  }
  return { texts: [...texts], isPartial: lines.some((line) => line.trim().length < maskLengthMin) }
}

/** The texts within a value that is JSON: a later step takes them out. */
function partsOf (secret: string): string[] {
  if (!/^\s*[[{]/.test(secret)) return []
  const texts: string[] = []
  try {
    JSON.parse(secret, (_name, value: unknown) => {
      if (typeof value === 'string') texts.push(...value.split(/[\r\n]+/))
      if (typeof value === 'number') texts.push(String(value))
    })
  } catch {
    return []
  }
  return texts.filter((text) => text !== '')
}

/** A text's base64, and of it what stays the same whatever stands around, for each byte of three that it may begin at. */
function base64Of (text: string): string[] {
  const bytes = Buffer.byteLength(text)
  return (['base64', 'base64url'] as const).flatMap((encoding) => [
    Buffer.from(text).toString(encoding),
    ...[0, 1, 2].map((shift) => {
      const whole = Buffer.from('\0'.repeat(shift) + text).toString(encoding)
      return whole.slice(Math.ceil(shift * 4 / 3), Math.floor((shift + bytes) * 4 / 3))
    })
  ])
}

/** A command of the runner that masks a text (GitHub, "Workflow commands"). */
function maskLine (text: string): string {
  return `::add-mask::${text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')}\n`
}

/** The file where a job of GitHub Actions gives variables to its later steps. @throws Failure `usage` outside of a job. */
export function readJobFile ({ env }: Pick<Parts, 'env'>): string {
  const file = env['GITHUB_ENV'] ?? ''
  if (file === '') throw new Failure('usage', 'this is no job of GitHub Actions: GITHUB_ENV is not set')
  return file
}

/**
 * Gives variables to the later steps of a GitHub job: first all of it is masked, and only then written to
 * the file that the runner named.
 *
 * @throws Failure `usage` outside of a job.
 */
export async function giveToJob (
  variables: Variables, secrets: ReadonlySet<string>, { env, screen }: Pick<Parts, 'env' | 'screen'>
): Promise<void> {
  const file = readJobFile({ env })
  const masks: string[] = []
  for (const [name, value] of variables) {
    if (!secrets.has(name)) continue
    const { texts, isPartial } = masksOf(value)
    masks.push(...texts)
    if (isPartial) screen.say(`${name} has a line of fewer than ${maskLengthMin} characters, which cannot be masked: it may appear in the log`)
  }
  await screen.out([...new Set(masks)].map(maskLine).join(''))
  const text = variables.map(([name, value]) => heredoc(name, value)).join('')
  try {
    const handle = await open(file, constants.O_WRONLY | constants.O_APPEND | constants.O_NOFOLLOW)
    await handle.appendFile(text).finally(() => handle.close())
  } catch (error) {
    throw new Failure('usage', `the file of GITHUB_ENV cannot be written: ${codeOf(error)}`, { cause: error })
  }
}

/** A value between two lines that it cannot contain. */
function heredoc (name: string, value: string): string {
  const end = `END_${randomBytes(18).toString('hex')}`
  return `${name}<<${end}\n${value}\n${end}\n`
}

import { parseArgs } from 'node:util'
import { Failure } from './failure.ts'
import { showHidden } from './screen.ts'

/** An option of a command. */
export interface Option {
  /** What stands for its value in the help; absent: it has none. */
  readonly value?: string
  /** All that its value may be. */
  readonly oneOf?: readonly string[]
  /** Whether it may be given several times. */
  readonly isList?: true
  readonly meaning: string
}

export type Options = Readonly<Record<string, Option>>

/** How a command is called. */
export interface Usage {
  readonly name: string
  /** What follows the name, as the help shows it: `<path>`. */
  readonly operands: string
  readonly operandsMin: number
  readonly operandsMax: number
  /** Whether a command of the caller's follows `--`. */
  readonly child: 'none' | 'optional' | 'required'
  readonly options: Options
}

/** A command line that was understood. */
export interface Invocation {
  readonly operands: readonly string[]
  /** The command after `--`; empty where there is none. */
  readonly child: readonly string[]
  has (option: string): boolean
  /** An option's value; null where it is not given. */
  text (option: string): string | null
  list (option: string): readonly string[]
}

const soundsSecret = /auth|credential|key|password|secret|token/i

/**
 * Reads the words after a command's name.
 *
 * @throws Failure `usage`, which repeats no value: somebody may have put a secret there (SEC-331).
 */
export function readInvocation (words: readonly string[], usage: Usage): Invocation {
  const separator = usage.child === 'none' ? -1 : words.indexOf('--')
  const own = separator === -1 ? words : words.slice(0, separator)
  const child = separator === -1 ? [] : words.slice(separator + 1)
  const { tokens } = parseArgs({
    args: [...own],
    strict: false,
    tokens: true,
    options: Object.fromEntries(Object.entries(usage.options).map(([name, { value }]) =>
      [name, { type: value === undefined ? 'boolean' : 'string' }]))
  })
  const given = new Map<string, string[]>()
  const operands: string[] = []
  for (const token of tokens) {
    if (token.kind === 'positional') operands.push(token.value)
    if (token.kind !== 'option') continue
    const isHelp = token.rawName === '-h'
    const { name, rawName, value } = isHelp ? { name: 'help', rawName: '--help', value: undefined } : token
    const former = given.get(name) ?? []
    given.set(name, [...former, readValue(usage, { name, rawName, value, isFirst: former.length === 0 })])
  }
  if (!given.has('help')) checkOperands(usage, operands, child)
  return {
    operands,
    child,
    has: (name) => given.has(name),
    text: (name) => given.get(name)?.[0] ?? null,
    list: (name) => given.get(name) ?? []
  }
}

interface Given {
  readonly name: string
  readonly rawName: string
  readonly value: string | undefined
  readonly isFirst: boolean
}

function readValue (usage: Usage, { name, rawName, value, isFirst }: Given): string {
  const option = Object.hasOwn(usage.options, name) && rawName === `--${name}` ? usage.options[name] : undefined
  if (option === undefined) throw refuse(usage, `has no option ${showHidden(rawName.slice(0, 40))}`, soundsSecret.test(rawName))
  if (!isFirst && option.isList === undefined) throw refuse(usage, `takes --${name} once`)
  if (option.value !== undefined && value === undefined) throw refuse(usage, `needs a value for --${name}`)
  if (option.value === undefined && value !== undefined) throw refuse(usage, `takes no value for --${name}`)
  if (option.oneOf?.includes(value ?? '') === false) throw refuse(usage, `takes --${name} ${option.oneOf.join(', ')}`)
  return value ?? ''
}

function checkOperands (usage: Usage, operands: readonly string[], child: readonly string[]): void {
  const { operandsMin, operandsMax } = usage
  if (operands.length > operandsMax) {
    if (usage.child !== 'none' && child.length === 0) throw refuse(usage, 'takes its command after --')
    throw refuse(usage, operandsMax === 0 ? 'takes no operands' : `takes ${usage.operands} and nothing more`, true)
  }
  if (operands.length < operandsMin) throw refuse(usage, `needs ${usage.operands}`)
  if (usage.child === 'required' && child.length === 0) throw refuse(usage, 'needs a command after --')
}

function refuse ({ name }: Usage, what: string, mayBeSecret = false): Failure {
  const advice = mayBeSecret
    ? 'secrets are never taken from the command line, where others can read them: use a file, standard input or the environment'
    : `see latchkey ${name} --help`
  return new Failure('usage', `${name} ${what}; ${advice}`)
}

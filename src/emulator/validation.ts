import { AwsError, invalid } from './aws-error.ts'
import type { Params } from './http/params.ts'

/** What AWS's model says of a text. The pattern is anchored to the whole value. */
export interface TextRule {
  readonly min?: number
  readonly max?: number
  readonly pattern?: RegExp
  /** The pattern as AWS prints it. */
  readonly patternText?: string
}

export interface NumberRule {
  readonly min: number
  readonly max: number
}

/** A rule with its pattern given once, in the form that AWS prints. */
export function textRule (min: number | undefined, max: number | undefined, patternText?: string, flags = ''): TextRule {
  return {
    ...min === undefined ? {} : { min },
    ...max === undefined ? {} : { max },
    ...patternText === undefined ? {} : { pattern: new RegExp(`^(?:${patternText})$`, flags), patternText }
  }
}

/** Whether a text that is no parameter obeys a rule. */
export function obeys ({ min = 0, max = Infinity, pattern }: TextRule, value: string): boolean {
  const length = [...value].length
  return length >= min && length <= max && (pattern === undefined || pattern.test(value))
}

/** Gathers every violation of a request, so that one refusal names them all. */
export interface Problems {
  /** The parameter, or null when absent; checked if present. */
  text (params: Params, name: string, rule: TextRule, path?: string): string | null
  /** The parameter, or '' when absent, which is a violation. */
  required (params: Params, name: string, rule: TextRule, path?: string): string
  /** The parameter, or null when absent. */
  number (params: Params, name: string, rule: NumberRule): number | null
  oneOf (params: Params, name: string, values: readonly string[]): string | null
  count (length: number, max: number, path: string): void
  add (value: string | null, path: string, constraint: string): void
  /** @throws AwsError ValidationError when there was any. */
  throwIfAny (): void
}

const valueShownMax = 4000

export function createProblems (): Problems {
  const found: string[] = []

  const add = (value: string | null, path: string, constraint: string): void => {
    const shown = value === null ? 'null' : `'${value.slice(0, valueShownMax)}'`
    found.push(`Value ${shown} at '${path}' failed to satisfy constraint: ${constraint}`)
  }

  const check = (value: string, { min, max, pattern, patternText }: TextRule, path: string): void => {
    const length = [...value].length
    if (max !== undefined && length > max) add(value, path, `Member must have length less than or equal to ${max}`)
    if (min !== undefined && length < min) add(value, path, `Member must have length greater than or equal to ${min}`)
    if (pattern !== undefined && !pattern.test(value)) {
      add(value, path, `Member must satisfy regular expression pattern: ${patternText}`)
    }
  }

  return {
    add,
    text (params, name, rule, path = memberName(name)) {
      const value = params.get(name)
      if (value === undefined) return null
      check(value, rule, path)
      return value
    },
    required (params, name, rule, path = memberName(name)) {
      const value = params.get(name)
      if (value === undefined) add(null, path, 'Member must not be null')
      else check(value, rule, path)
      return value ?? ''
    },
    number (params, name, { min, max }) {
      const text = params.get(name)
      if (text === undefined) return null
      if (!/^[+-]?\d{1,10}$/.test(text)) {
        throw new AwsError(400, 'MalformedInput', `Unexpected value for ${name}: an integer is expected.`)
      }
      const value = Number(text)
      if (value > max) add(text, memberName(name), `Member must have value less than or equal to ${max}`)
      if (value < min) add(text, memberName(name), `Member must have value greater than or equal to ${min}`)
      return value
    },
    oneOf (params, name, values) {
      const value = params.get(name)
      if (value === undefined) return null
      if (!values.includes(value)) {
        add(value, memberName(name), `Member must satisfy enum value set: [${values.join(', ')}]`)
      }
      return value
    },
    count (length, max, path) {
      if (length > max) {
        add(`[${length} elements]`, path, `Member must have length less than or equal to ${max}`)
      }
    },
    throwIfAny () {
      if (found.length === 0) return
      throw invalid(`${found.length} validation error${found.length === 1 ? '' : 's'} detected: ${found.join('; ')}`)
    }
  }
}

function memberName (name: string): string {
  return name.charAt(0).toLowerCase() + name.slice(1)
}

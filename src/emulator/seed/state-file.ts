import { randomBytes } from 'node:crypto'
import { chmodSync, linkSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'

/**
 * The secret kept in a file; made when the file is not there, readable by its owner alone.
 *
 * @throws Error when the file holds something else.
 */
export function readStateSecret (file: string): string {
  const known = findSecret(file)
  if (known !== null) return known
  mkdirSync(path.dirname(path.resolve(file)), { recursive: true })
  const made = { secret: randomBytes(32).toString('base64url') }
  const beside = `${file}.${process.pid}.new`
  writeFileSync(beside, `${JSON.stringify(made)}\n`, { mode: 0o600, flag: 'wx' })
  try {
    linkSync(beside, file)
    return made.secret
  } catch (error) {
    const other = findSecret(file)
    if (other === null) throw error
    return other
  } finally {
    unlinkSync(beside)
  }
}

function findSecret (file: string): string | null {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw error
  }
  chmodSync(file, 0o600)
  const value: unknown = JSON.parse(text)
  if (typeof value === 'object' && value !== null && 'secret' in value && typeof value.secret === 'string') {
    return value.secret
  }
  throw new Error(`${file}: not an emulator's state file`)
}

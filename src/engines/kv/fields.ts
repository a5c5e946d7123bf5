import { FieldError, text, type Field } from '../../core/fields.ts'
import { isJsonObject, type JsonObject } from '../../core/json.ts'

/** The key that an operation is about. */
export const pathField = text('The key: segments separated by "/".')

/** A JSON object that was sent as one: a text that holds one is refused, so that what is stored is what was sent. */
export function sentObject (description: string): Field<JsonObject> {
  return {
    kind: 'object',
    description,
    parse (raw) {
      if (!isJsonObject(raw)) throw new FieldError('expected an object')
      return raw
    }
  }
}

/**
 * The instructions that generated kernels use, grouped by their immediates. SIMD opcodes follow the prefix
 * 0xfd, written here as the upper byte.
 *
 * @see WebAssembly Core 2.0, section 5.4, https://www.w3.org/TR/wasm-core-2/
 */

export const PLAIN = {
  "i32.add": 0x6a,
  "i32.sub": 0x6b,
  "i32.and": 0x71,
  "i32.shr_u": 0x76,
  "f64.add": 0xa0,
  "f64.max": 0xa5,
  "f32.demote_f64": 0xb6,
  "f64.promote_f32": 0xbb,

  "v128.not": 0xfd4d,
  "v128.and": 0xfd4e,
  "v128.or": 0xfd50,
  "v128.xor": 0xfd51,
  "v128.bitselect": 0xfd52,
  "i8x16.narrow_i16x8_u": 0xfd66,
  "i16x8.narrow_i32x4_u": 0xfd86,
  "i16x8.extend_low_i8x16_u": 0xfd89,
  "i32x4.extend_low_i16x8_u": 0xfda9,
  "i32x4.splat": 0xfd11,
  "i32x4.trunc_sat_f32x4_u": 0xfdf9,
  "i32x4.mul": 0xfdb5,
  "i32x4.min_u": 0xfdb7,

  "i32x4.shl": 0xfdab,
  "i32x4.shr_u": 0xfdad,
  "i32x4.add": 0xfdae,
  "i32x4.max_s": 0xfdb8,
  "i64x2.shl": 0xfdcb,
  "i64x2.shr_u": 0xfdcd,
  "i64x2.add": 0xfdce,

  "f32x4.convert_i32x4_u": 0xfdfb,
  "f32x4.splat": 0xfd13,
  "f32x4.eq": 0xfd41,
  "f32x4.lt": 0xfd43,
  "f32x4.le": 0xfd45,
  "f32x4.floor": 0xfd68,
  "f32x4.abs": 0xfde0,
  "f32x4.neg": 0xfde1,
  "f32x4.sqrt": 0xfde3,
  "f32x4.add": 0xfde4,
  "f32x4.sub": 0xfde5,
  "f32x4.mul": 0xfde6,
  "f32x4.div": 0xfde7,
  "f32x4.min": 0xfde8,
  "f32x4.max": 0xfde9,
  "f32x4.pmin": 0xfdea,
  "f32x4.pmax": 0xfdeb,

  "f64x2.convert_low_i32x4_u": 0xfdff,
  "f64x2.splat": 0xfd14,
  "f64x2.eq": 0xfd47,
  "f64x2.lt": 0xfd49,
  "f64x2.le": 0xfd4b,
  "f64x2.promote_low_f32x4": 0xfd5f,
  "f64x2.floor": 0xfd75,
  "f64x2.abs": 0xfdec,
  "f64x2.neg": 0xfded,
  "f64x2.sqrt": 0xfdef,
  "f64x2.add": 0xfdf0,
  "f64x2.sub": 0xfdf1,
  "f64x2.mul": 0xfdf2,
  "f64x2.div": 0xfdf3,
  "f64x2.min": 0xfdf4,
  "f64x2.max": 0xfdf5,
  "f64x2.pmin": 0xfdf6,
  "f64x2.pmax": 0xfdf7,
} as const;

/** Take the index of a local. */
export const LOCAL = {
  "local.get": 0x20,
  "local.set": 0x21,
  "local.tee": 0x22,
} as const;

/** Take a number of the result's type. */
export const CONST = {
  "i32.const": 0x41,
  "f32.const": 0x43,
  "f64.const": 0x44,
} as const;

/** Take an alignment and an offset. */
export const MEMORY = {
  "i32.load": 0x28,
  "f64.load": 0x2b,
  "f64.store": 0x39,
  "v128.load": 0xfd00,
  "v128.store": 0xfd0b,
  "v128.load16x4_u": 0xfd04,
  "v128.load8_splat": 0xfd07,
  "v128.load16_splat": 0xfd08,
  "v128.load32_zero": 0xfd5c,
  "v128.load64_zero": 0xfd5d,
} as const;

/** Take an alignment, an offset and a lane. */
export const MEMORY_LANE = {
  "v128.store8_lane": 0xfd58,
  "v128.store16_lane": 0xfd59,
  "v128.store32_lane": 0xfd5a,
  "v128.store64_lane": 0xfd5b,
} as const;

/** Take a lane. */
export const LANE = {
  "f32x4.extract_lane": 0xfd1f,
  "f64x2.extract_lane": 0xfd21,
} as const;

/** Takes sixteen bytes. */
export const V128_CONST = 0xfd0c;

/** Takes sixteen lanes of bytes. */
export const SHUFFLE = 0xfd0d;

/** Take the type of their result, which is always none here, and a body up to `END`. */
export const BLOCK = { loop: 0x03, if: 0x04 } as const;
export const END = 0x0b;
/** Takes the number of enclosing blocks to leave; naming a loop continues it. */
export const BRANCH_IF = 0x0d;

export const VALUE_TYPE = { i32: 0x7f, f32: 0x7d, f64: 0x7c, v128: 0x7b } as const;
export const NO_RESULT = 0x40;
export const FUNCTION_TYPE = 0x60;

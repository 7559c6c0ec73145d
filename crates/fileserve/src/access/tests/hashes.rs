//! Hashes that other programs have made, and which passwords they take.

use super::super::hash::PasswordHash;
use super::*;

/// A password as in the table of hashes, and a hash of it.
const MADE_ELSEWHERE: [(&str, &str); 19] = [
    // htpasswd of Apache 2.4: -B -C 4, -B -C 5, -2, -5
    (GOOD, "$2y$04$DgtYX9k0ZiIer18av8pwCunfhKw3SFoAEUm2Fsb0af5IuITly6Ydy"),
    (GOOD, "$2y$05$M5wL6w00WmnfekaRT4tWM.dB8wm/V38PPli0O8NHrg5bxVnmPTxnC"),
    (GOOD, "$5$/ACg3wzY8TME/nR2$M4oURVk1lRocjtLugxzELsNDcWMuDFlKhRCIRDKuYWB"),
    (
        GOOD,
        "$6$SZ2Xg2B/ZMpbV8Ok$QPOhyQnSvf2IMuL4w./XiTHD.85qibs9t4UBYOEn3.yxqyr8bemvvXgafXeT7oIElFM\
         bNwMFvPkHnq3wLNt980",
    ),
    // crypt(3) of glibc 2.36
    (GOOD, "$5$gdIcpIjOInJCW6Qr$X9JE2bVEVR6ZLwoM4GkHjUcvk8TGUr3aHGZ3oOk1206"),
    (GOOD, "$5$rounds=1000$icDgOqmW8dLyWF0u$SUD56pOk7YdKHI8CaLogDapaTZueeLsIiqDqYPFo5fC"),
    (WIDE, "$5$rounds=1234$qDZQwW1BGbTmKXAR$RdpnF8FOKTMnaUr5eOyUSbbjG9oXuEfjmBcEDrV/kfB"),
    (GOOD, "$5$abcdefghijklmnop$eLlGDRRp0Ru9mPmgmlr4LXrFitzWX28EZT5eMNr5fN6"),
    (
        GOOD,
        "$6$4SNv7x.xIsJBGMv3$PHbEG5kRYaQ2LcxYg1e/3GKqMg4MBNOEETfRk1DA.0VJIZ07ywWQgn5Vm1CcZzivqRv\
         A7sXS6AfzEuwoDIhfd1",
    ),
    (
        GOOD,
        "$6$rounds=1000$Y8ErTwWBotIxcRVQ$pEir4hQ1gykWis3Zg9M6e0EcdrGBamq6LAFGHWJq5wYi1GZIc2fr9vX\
         fyCTJgdurcAyrGlx..D5NaCc3OtIlz0",
    ),
    (
        WIDE,
        "$6$rounds=1234$0Q4axyonQD0lD9Zs$fkGndQEnYGWFOmm7FCHh5NeqFrfUXl/01E7SpELxmK/egJLqwey3qEv\
         eLW3Ki4Q3mnDJDqwIUzrrhbbBaOPiF1",
    ),
    (
        GOOD,
        "$6$ab$taQi2R/p.00nDn/0OiJ.5VXxxXle4RnNFdp1MRTAv1YDfnWjTzvJxb43j8XusV1GVxGhgSwzDrEJhwBIx\
         Uw.Q/",
    ),
    // 200 times x
    (
        X200,
        "$6$abcdefgh$tpP3/LI4wMLKhgKp8bTwVQweEEM46u1QVpxJ4s7//kd/n92pnKvxNc51RM.csWa9OlZn10Z4pRo\
         pwomQmhBXx1",
    ),
    // bcrypt of Python
    (GOOD, "$2b$04$euJKbi8/esKu06SsrgghIe2apdV4LIkI4mXM/qIpRtNGy9FjQEGmu"),
    (GOOD, "$2a$04$8xQBcJQtUpQoWUV9aXtjVeVWmrtH7xh.O0UaffU7ZNzuSXdV5/oDy"),
    (WIDE, "$2b$04$WSBg0IJcqPqzpZEQk8rHbOssm6ibetsRzppsSODaqMuznYuAT.Kxu"),
    (Y72, "$2b$04$D2QSPrkh6dhtGvKYXIpHEeelOcb5IH7Lgt4hNhxItvgtlD4qpU.Wy"),
    // argon2-cffi
    (
        GOOD,
        "$argon2id$v=19$m=64,t=1,p=1$GOHzMvh/W9F5hDFeFSRnRQ$d1eBVh+l3/qa4j0TMfeSJ4pZzX6hDanaCokX\
         HOQscPA",
    ),
    (WIDE, "$argon2id$v=19$m=128,t=2,p=4$+c2HVVdg7s8571AF6rwRcw$MRfsGvj1sR/7KUOu8J/v6A"),
];

const WIDE: &str = "p\u{e4}ssw\u{f6}rd";

const Y72: &str = "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy";

const X200: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\
    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\
    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

fn takes(hash: &str, password: &str) -> bool {
    let hash = PasswordHash::parse(hash).unwrap_or_else(|fault| panic!("{hash} {fault}"));
    hash.is_of(password.as_bytes()).expect("there is memory")
}

#[test]
fn what_other_programs_have_hashed_is_good_and_nothing_else() {
    assert_eq!((Y72.len(), X200.len()), (72, 200));
    for (password, hash) in MADE_ELSEWHERE {
        assert!(takes(hash, password), "{hash}");
        for wrong in ["", "correct hors", "correct horse ", "Correct horse", "passwort"] {
            assert!(!takes(hash, wrong), "{hash} with {wrong:?}");
        }
    }
}

#[test]
fn a_password_that_bcrypt_would_cut_is_wrong() {
    let hash = "$2b$04$D2QSPrkh6dhtGvKYXIpHEeelOcb5IH7Lgt4hNhxItvgtlD4qpU.Wy";
    for longer in [format!("{Y72}y"), format!("{Y72}z"), Y72.repeat(2)] {
        assert!(!takes(hash, &longer), "{longer}");
    }
    assert!(!takes(hash, &Y72[1..]));
}

#[test]
fn hashes_that_are_damaged_or_cost_too_much_are_told() {
    let damaged = HashFault::Damaged;
    let costly = HashFault::Costly;
    let long = "x".repeat(86);
    for (hash, fault) in [
        ("$2y$04$DgtYX9k0ZiIer18av8pwCunfhKw3SFoAEUm2Fsb0af5IuITly6Yd", damaged("bcrypt")),
        ("$2y$03$DgtYX9k0ZiIer18av8pwCunfhKw3SFoAEUm2Fsb0af5IuITly6Ydy", damaged("bcrypt")),
        ("$2y$32$DgtYX9k0ZiIer18av8pwCunfhKw3SFoAEUm2Fsb0af5IuITly6Ydy", damaged("bcrypt")),
        ("$2y$18$DgtYX9k0ZiIer18av8pwCunfhKw3SFoAEUm2Fsb0af5IuITly6Ydy", costly("bcrypt")),
        ("$2x$04$DgtYX9k0ZiIer18av8pwCunfhKw3SFoAEUm2Fsb0af5IuITly6Ydy", HashFault::Unknown),
        ("$2y$", damaged("bcrypt")),
        ("$5$", damaged("sha-crypt")),
        ("$5$salt", damaged("sha-crypt")),
        ("$5$salt$short", damaged("sha-crypt")),
        ("$6$salt$X9JE2bVEVR6ZLwoM4GkHjUcvk8TGUr3aHGZ3oOk1206", damaged("sha-crypt")),
        (&format!("$6$rounds=999$salt${long}"), damaged("sha-crypt")),
        (&format!("$6$rounds=$salt${long}"), damaged("sha-crypt")),
        (&format!("$6$rounds=99999999999$salt${long}"), damaged("sha-crypt")),
        (&format!("$6$rounds=1000001$salt${long}"), costly("sha-crypt")),
        (&format!("$6$salt17octetslong$${long}"), damaged("sha-crypt")),
        (&format!("$6$seventeen.octets.${long}"), damaged("sha-crypt")),
        (&format!("$6$${long}"), damaged("sha-crypt")),
        (&format!("$6$sa:lt${long}"), damaged("sha-crypt")),
        ("$argon2id$", damaged("argon2id")),
        ("$argon2id$v=19$m=64,t=1,p=1$GOHzMvh/W9F5hDFeFSRnRQ", damaged("argon2id")),
        ("$argon2id$v=18$m=64,t=1,p=1$GOHzMvh/W9F5hDFeFSRnRQ$d1eBVh+l3/o", damaged("argon2id")),
        ("$argon2id$v=19$m=1,t=1,p=1$GOHzMvh/W9F5hDFeFSRnRQ$d1eBVh+l3/o", damaged("argon2id")),
        (
            "$argon2id$v=19$m=262145,t=1,p=1$GOHzMvh/W9F5hDFeFSRnRQ$\
             d1eBVh+l3/qa4j0TMfeSJ4pZzX6hDanaCokXHOQscPA",
            costly("argon2id"),
        ),
        (
            "$argon2id$v=19$m=65536,t=65,p=1$GOHzMvh/W9F5hDFeFSRnRQ$\
             d1eBVh+l3/qa4j0TMfeSJ4pZzX6hDanaCokXHOQscPA",
            costly("argon2id"),
        ),
    ] {
        assert_eq!(PasswordHash::parse(hash).err(), Some(fault), "{hash}");
    }
}

#[test]
fn a_hash_of_ones_own_is_good() {
    let hash = hash_password(GOOD.as_bytes()).expect("a password");
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
    assert!(takes(&hash, GOOD) && !takes(&hash, "wrong"));
    let again = hash_password(GOOD.as_bytes()).expect("a password");
    assert_ne!(hash, again, "with another salt");
}

#[test]
fn a_password_that_no_client_could_send_is_not_hashed() {
    let long = "x".repeat(PASSWORD_BYTES_MAX + 1);
    for (password, expected) in [
        ("", "the password is empty"),
        ("a\0", "the password holds a control character"),
        ("a\x7f", "the password holds a control character"),
        (&long, "the password is longer than 1024 bytes"),
    ] {
        let told = hash_password(password.as_bytes()).expect_err(password).to_string();
        assert_eq!(told, expected);
    }
}
